"""A listing shows what may be served, and costs a bounded time."""

import os
from pathlib import Path

import pytest

from portofcall.web.folder_listing import LINK_ENTRIES, MOST_ENTRIES, listing


def test_names_are_links(tmp_path: Path) -> None:
    """Sorted, escaped, folders with a slash; bytes that are no UTF-8 can be followed, too."""
    (tmp_path / "b&").write_text("")
    (tmp_path / "a").mkdir()
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("")
    (tmp_path / "x:y").write_text("")
    page = listing(str(tmp_path), ())
    assert page.splitlines()[2:-1] == [
        '<li><a href="./a/">a/</a>',
        '<li><a href="./b%26">b&amp;</a>',
        '<li><a href="./caf%E9">caf\ufffd</a>',
        '<li><a href="./x%3Ay">x:y</a>',
    ]


def test_title_is_the_path_and_shows_nothing_above_it(tmp_path: Path) -> None:
    """Where the folder is on the host is nobody's business."""
    (tmp_path / "<a>" / "b").mkdir(parents=True)
    assert "<h1>/&lt;a&gt;/b/</h1>" in listing(str(tmp_path), ("<a>", "b"))
    assert "<h1>/</h1>" in listing(str(tmp_path), ())


def test_what_is_not_served_is_not_listed(tmp_path: Path) -> None:
    """Hidden files, pipes, and links that lead out, to hidden files or to nothing."""
    (tmp_path / ".hidden").write_text("")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "out").symlink_to("/etc/passwd")
    (tmp_path / "to-hidden").symlink_to(".hidden")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nothing").symlink_to("missing")
    (tmp_path / "file").write_text("")
    (tmp_path / "good").symlink_to("file")
    page = listing(str(tmp_path), ())
    assert [line.split(">")[2] for line in page.splitlines()[2:-1]] == ["file</a", "good</a"]


@pytest.mark.parametrize("prefix", ["", "."])
def test_only_so_many_entries_are_looked_at(tmp_path: Path, prefix: str) -> None:
    """Hidden ones count, too; the page says that there are more."""
    for number in range(MOST_ENTRIES):
        (tmp_path / f"{prefix}{number}").touch()
    assert "<li>and more" not in listing(str(tmp_path), ())
    (tmp_path / f"{prefix}last").touch()
    page = listing(str(tmp_path), ())
    assert page.count("<li>") == (1 if prefix else MOST_ENTRIES + 1)
    assert page.splitlines()[-2] == "<li>and more"


def test_links_are_resolved_but_few_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a look at every part of its path; nothing else is looked at."""
    looks = []
    real = os.lstat

    def look(path: str) -> os.stat_result:
        looks.append(path)
        return real(path)

    monkeypatch.setattr(os, "lstat", look)
    for number in range(50):
        (tmp_path / f"file{number}").touch()
    listing(str(tmp_path), ())
    assert looks == []
    for number in range(MOST_ENTRIES // LINK_ENTRIES + 1):
        (tmp_path / f"link{number}").symlink_to("file1")
    page = listing(str(tmp_path), ())
    assert page.count(">link") <= MOST_ENTRIES // LINK_ENTRIES
    assert "<li>and more" in page

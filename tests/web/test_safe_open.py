"""What is opened is what was judged, whatever is linked or renamed meanwhile."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from portofcall.web.safe_open import find, open_file, open_folder


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A folder with a file, and a secret beside it."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("secret")
    folder = tmp_path / "top"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("public")
    return folder


def descriptors() -> int:
    """Count those of the process."""
    return len(os.listdir("/proc/self/fd"))


def put_link(top: Path) -> None:
    """Replace a folder by a link that leads out."""
    (top / "a").rename(top / "moved")
    (top / "a").symlink_to(top.parent)


def put_link_to_file(top: Path) -> None:
    """Replace the file by a link that leads out."""
    (top / "a" / "b" / "file").unlink()
    (top / "a" / "b" / "file").symlink_to(top.parent / "secret" / "file")


def put_pipe(top: Path) -> None:
    """Replace the file by a named pipe, which nobody writes to."""
    (top / "a" / "b" / "file").unlink()
    os.mkfifo(top / "a" / "b" / "file")


def put_folder(top: Path) -> None:
    """Replace the file by a folder."""
    (top / "a" / "b" / "file").unlink()
    (top / "a" / "b" / "file").mkdir()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put_link, NotADirectoryError),
        (put_link_to_file, FileNotFoundError),
        (put_pipe, FileNotFoundError),
        (put_folder, FileNotFoundError),
    ],
)
def test_what_takes_a_files_place_is_not_opened(
    top: Path, change: Callable[[Path], None], problem: type[OSError]
) -> None:
    """Nor is a descriptor left, and to open a pipe takes no time."""
    found = find(str(top), ["a", "b", "file"])
    change(top)
    before = descriptors()
    with pytest.raises(problem):
        open_file(str(top), found.parts)
    assert descriptors() == before


@pytest.mark.parametrize(("change", "code"), [(put_link_to_file, errno.ELOOP), (put_pipe, None)])
def test_what_takes_a_files_place_between_the_last_look_and_the_opening_is_not_read(
    top: Path, change: Callable[[Path], None], code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race is lost by whoever writes in the folder."""
    found = find(str(top), ["a", "b", "file"])
    real = os.stat

    def look_then_change(path: str, *, dir_fd: int, follow_symlinks: bool) -> os.stat_result:
        status = real(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        change(top)
        return status

    monkeypatch.setattr(os, "stat", look_then_change)
    before = descriptors()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its code is asserted below
        open_file(str(top), found.parts)
    assert (caught.value.errno, descriptors()) == (code, before)


def test_folder_that_became_a_link_is_not_listed(top: Path) -> None:
    """Neither itself, nor behind it."""
    found = find(str(top), ["a", "b"])
    put_link(top)
    with pytest.raises(NotADirectoryError):
        open_folder(str(top), found.parts)


def test_file_is_open_with_its_size(top: Path) -> None:
    """Of the moment when it was opened."""
    file = open_file(str(top), find(str(top), ["a", "b", "file"]).parts)
    try:
        assert file.size == 6
        assert file.modified_ns == (top / "a" / "b" / "file").stat().st_mtime_ns
        assert stat.S_ISREG(os.fstat(file.descriptor).st_mode)
        assert not os.get_inheritable(file.descriptor)
    finally:
        os.close(file.descriptor)


@pytest.mark.parametrize(
    "names", [[".."], ["a", "..", "a"], ["a/b"], ["."], [""], ["a", ""], [".hidden"], ["a\0"], ["..\0"]]
)
def test_names_that_are_no_names_are_not_looked_up(top: Path, names: list[str]) -> None:
    """Before the kernel sees them."""
    with pytest.raises(FileNotFoundError):
        find(str(top), names)


def test_neighbour_whose_name_begins_like_the_folders_is_outside(top: Path) -> None:
    """It is no prefix of text that counts."""
    neighbour = top.parent / "top-secret"
    neighbour.mkdir()
    (top / "link").symlink_to(neighbour)
    with pytest.raises(FileNotFoundError):
        find(str(top), ["link"])


def test_whole_file_system_may_be_the_folder() -> None:
    """Devices are not served."""
    assert find("/", ["proc", "self", "status"]).parts[0] == "proc"
    with pytest.raises(FileNotFoundError):
        find("/", ["dev", "zero"])

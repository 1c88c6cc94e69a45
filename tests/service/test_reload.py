"""A running gateway reloads its files; a broken one changes nothing."""

from pathlib import Path

import pytest

from portofcall.service.reload import Reload, Reloadable


class Rig:
    """The reload of two files that hold a number, and what was put in force."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second = folder / "first", folder / "second"
        for path in (self.first, self.second):
            path.write_text("1")
        self.used: list[int] = []
        self.reload = Reload([self.reloadable(self.first), self.reloadable(self.second)])

    def reloadable(self, path: Path) -> Reloadable[int]:
        """A number in a file."""
        return Reloadable(name=path.name, read=lambda: int(path.read_text()), use=self.use)

    def use(self, number: int) -> str:
        """Take a number."""
        self.used.append(number)
        return f"is {number}"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A reload of two files."""
    return Rig(tmp_path)


def test_valid_files_are_used(rig: Rig, logged: list[str]) -> None:
    """In order; the log has a summary of each."""
    rig.second.write_text("2")
    rig.reload()
    assert rig.used == [1, 2]
    assert logged == ["first reloaded: is 1", "second reloaded: is 2"]


def test_broken_file_changes_nothing(rig: Rig, logged: list[str]) -> None:
    """The log has the reason, and the next file is reloaded all the same."""
    rig.first.write_text("nonsense")
    rig.second.write_text("2")
    rig.reload()
    assert rig.used == [2]
    broken, valid = logged
    assert broken.startswith("first not reloaded, the previous one stays in force: invalid literal")
    assert valid == "second reloaded: is 2"


def test_without_files_the_log_says_so(logged: list[str]) -> None:
    """The signal was handled."""
    Reload([])()
    assert logged == ["nothing to reload: no option names a file"]

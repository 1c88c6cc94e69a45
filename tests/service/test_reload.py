"""A running gateway reloads its files on SIGHUP; a broken one changes nothing."""

import os
import signal
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.testing import MemoryReactorClock

from portofcall.service.reload import Reload, Reloadable


class Rig:
    """A reload service for two files that hold a number, and what was put in force."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second = folder / "first", folder / "second"
        for path in (self.first, self.second):
            path.write_text("1")
        self.reactor = cast(Any, MemoryReactorClock())
        self.calls: list[object] = []
        self.reactor.callFromThread = self.calls.append
        self.used: list[int] = []
        self.service = Reload(self.reactor, [self.reloadable(self.first), self.reloadable(self.second)])

    def reloadable(self, path: Path) -> Reloadable[int]:
        """A number in a file."""
        return Reloadable(name=path.name, read=lambda: int(path.read_text()), use=self.use)

    def use(self, number: int) -> str:
        """Take a number."""
        self.used.append(number)
        return f"is {number}"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A service for two files."""
    return Rig(tmp_path)


def test_valid_files_are_used(rig: Rig, logged: list[str]) -> None:
    """In order; the log has a summary of each."""
    rig.second.write_text("2")
    rig.service.reload()
    assert rig.used == [1, 2]
    assert logged == ["first reloaded: is 1", "second reloaded: is 2"]


def test_broken_file_changes_nothing(rig: Rig, logged: list[str]) -> None:
    """The log has the reason, and the next file is reloaded all the same."""
    rig.first.write_text("nonsense")
    rig.second.write_text("2")
    rig.service.reload()
    assert rig.used == [2]
    broken, valid = logged
    assert broken.startswith("first not reloaded, the previous one stays in force: invalid literal")
    assert valid == "second reloaded: is 2"


def test_sighup_reads_them_again_while_the_service_runs(rig: Rig) -> None:
    """In the reactor's thread; stopping it restores the previous handler."""
    before = signal.getsignal(signal.SIGHUP)
    rig.service.startService()
    os.kill(os.getpid(), signal.SIGHUP)
    assert rig.calls == [rig.service.reload]
    rig.service.stopService()
    assert signal.getsignal(signal.SIGHUP) is before


def test_signals_are_left_alone_outside_the_main_thread(rig: Rig) -> None:
    """Python has no signals there; the service starts, and `reload` works."""
    before = signal.getsignal(signal.SIGHUP)
    problems: list[BaseException] = []

    def start_and_stop() -> None:
        try:
            rig.service.startService()
            rig.service.reload()
            rig.service.stopService()
        except BaseException as problem:  # noqa: BLE001 - of another thread, shown below
            problems.append(problem)

    thread = threading.Thread(target=start_and_stop)
    thread.start()
    thread.join(10)
    assert problems == []
    assert rig.used == [1, 1]
    assert signal.getsignal(signal.SIGHUP) is before

"""A running gateway reloads its policy on SIGHUP."""

import os
import signal
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.testing import MemoryReactorClock

from portofcall.egress.policy import Policy
from portofcall.egress.policy_file import read_policy
from portofcall.service.policy_reload import PolicyReload


class Rig:
    """A reload service for one file, and the policies that it read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reactor = cast(Any, MemoryReactorClock())
        self.calls: list[object] = []
        self.reactor.callFromThread = self.calls.append
        self.used: list[Policy] = []
        self.service = PolicyReload(
            self.reactor, lambda: read_policy(path), self.used.append, description="/the/policy"
        )


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A service for a file of one rule."""
    path = tmp_path / "policy"
    path.write_text("allow 10.0.0.0/8\n")
    return Rig(path)


def test_valid_file_is_used(rig: Rig, logged: list[str]) -> None:
    """The log has the number of rules."""
    rig.service.reload()
    (policy,) = rig.used
    assert [rule.text for rule in policy.allow] == ["10.0.0.0/8"]
    rig.path.write_text("allow public\nallow 10.0.0.0/8\ndeny 10.1.0.0/16\n")
    rig.service.reload()
    assert logged == [
        "policy reloaded: 1 allow rule, 0 deny rules",
        "policy reloaded: 2 allow rules, 1 deny rule",
    ]


def test_broken_file_changes_nothing(rig: Rig, logged: list[str]) -> None:
    """The log has the file and the number of the line."""
    rig.path.write_text("allow public\nnonsense\n")
    rig.service.reload()
    assert rig.used == []
    (line,) = logged
    assert line.startswith("policy not reloaded, the previous one stays in force: /the/policy: line 2: ")


def test_missing_file_changes_nothing(rig: Rig, logged: list[str]) -> None:
    """An editor may be writing it just now."""
    rig.path.unlink()
    rig.service.reload()
    assert rig.used == []
    assert any("No such file" in line for line in logged)


def test_sighup_reads_it_again_while_the_service_runs(rig: Rig) -> None:
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
    assert len(rig.used) == 1
    assert signal.getsignal(signal.SIGHUP) is before

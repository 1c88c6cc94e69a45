"""A running gateway reads its policy again when it is told to."""

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
    """A source that reads a file, and the policies that it gave."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reactor = cast(Any, MemoryReactorClock())
        self.calls: list[object] = []
        self.reactor.callFromThread = self.calls.append
        self.used: list[Policy] = []
        self.source = PolicyReload(
            self.reactor, lambda: read_policy(path), self.used.append, description="the policy"
        )


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A source with a file of one rule."""
    path = tmp_path / "policy"
    path.write_text("allow 10.0.0.0/8\n")
    return Rig(path)


def test_sound_file_is_used(rig: Rig, logged: list[str]) -> None:
    """And the log has how many rules there are."""
    rig.source.reload()
    (policy,) = rig.used
    assert [rule.text for rule in policy.allow] == ["10.0.0.0/8"]
    assert "the policy: 1 rules allow, 0 deny" in logged


def test_broken_file_changes_nothing(rig: Rig, logged: list[str]) -> None:
    """And the log has the line's number."""
    rig.path.write_text("allow public\nnonsense\n")
    rig.source.reload()
    assert rig.used == []
    assert any("line 2" in line and "stays as it was" in line for line in logged)


def test_missing_file_changes_nothing(rig: Rig, logged: list[str]) -> None:
    """An editor may be writing it just now."""
    rig.path.unlink()
    rig.source.reload()
    assert rig.used == []
    assert any("No such file" in line for line in logged)


def test_sighup_reads_it_again_while_the_service_runs(rig: Rig) -> None:
    """In the reactor's thread; and whoever had the signal before gets it back."""
    before = signal.getsignal(signal.SIGHUP)
    rig.source.startService()
    os.kill(os.getpid(), signal.SIGHUP)
    assert rig.calls == [rig.source.reload]
    rig.source.stopService()
    assert signal.getsignal(signal.SIGHUP) is before


def test_another_thread_than_the_main_one_leaves_signals_alone(rig: Rig) -> None:
    """Python has no signals there; the service starts all the same, and can be told to read."""
    before = signal.getsignal(signal.SIGHUP)
    problems: list[BaseException] = []

    def start_and_stop() -> None:
        try:
            rig.source.startService()
            rig.source.reload()
            rig.source.stopService()
        except BaseException as problem:  # noqa: BLE001 - of another thread, shown below
            problems.append(problem)

    thread = threading.Thread(target=start_and_stop)
    thread.start()
    thread.join(10)
    assert problems == []
    assert len(rig.used) == 1
    assert signal.getsignal(signal.SIGHUP) is before

"""Standard input and output: pipes, sockets, files and terminals, with real descriptors."""

import os
import pty
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.python.failure import Failure

from portofcall.client.patient_readiness import PatientReadiness, SingleTunnelReadiness
from portofcall.client.problem import Problem, Status
from portofcall.client.stdio import StdioEnd
from portofcall.relay.readiness import Readiness
from tests.support import FakeSource


class Events:
    """What a local end has reported."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = False
        self.lost: Failure | None = None

    def backend_sent(self, data: bytes | memoryview) -> None:
        self.received += data

    def backend_ended(self) -> None:
        self.ended = True

    def backend_lost(self, reason: Failure) -> None:
        assert self.lost is None
        self.lost = reason


class Rig:
    """A local end on two descriptors, in a reactor that is turned by hand."""

    def __init__(self, input_: int, output: int, *, kind: type[Readiness] = Readiness) -> None:
        self.reactor: Any = EPollReactor()
        self.readiness = kind(self.reactor)
        self.events = Events()
        self.end = StdioEnd(input_, output, reactor=self.reactor, readiness=self.readiness)
        self.end.events = self.events
        self.chain = FakeSource()
        self.end.transport.registerProducer(self.chain, True)
        self.end.begin()

    def turn(self, times: int = 5) -> None:
        """Turn the reactor."""
        for _ in range(times):
            self.reactor.runUntilCurrent()
            self.reactor.doIteration(0)

    def close(self) -> None:
        """End everything."""
        if self.events.lost is None:
            self.end.abort()
        self.turn()
        for reader in self.reactor.removeAll():
            reader.connectionLost(Failure(Exception("over")))
        self.reactor._poller.close()


class Pipes:
    """Two pipes, with the outer ends in the test's hands."""

    def __init__(self) -> None:
        self.input, self.feed = os.pipe()
        self.read, self.output = os.pipe()
        self.rig = Rig(self.input, self.output)

    def close(self) -> None:
        """Close everything."""
        self.rig.close()
        for descriptor in (self.input, self.feed, self.read, self.output):
            try:
                os.close(descriptor)
            except OSError as error:
                assert error.errno == 9  # noqa: PT017 - the test has closed it


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    """Two pipes."""
    made = Pipes()
    yield made
    made.close()


def test_pipes_both_ways(pipes: Pipes) -> None:
    """What is read is reported, what is written comes out, and the end of the input is reported."""
    rig = pipes.rig
    os.write(pipes.feed, b"in")
    rig.turn()
    rig.end.transport.write(b"out")
    rig.end.transport.writeSequence([b"-", b"put"])
    assert (rig.events.received, os.read(pipes.read, 100)) == (b"in", b"out-put")
    os.close(pipes.feed)
    rig.turn()
    assert rig.events.ended
    rig.end.finish()
    assert os.read(pipes.read, 100) == b""
    rig.end.drop()
    rig.turn()
    assert rig.events.lost is not None
    assert "cleanly" in str(rig.events.lost.value)


def test_the_descriptors_of_other_processes_stay_blocking(pipes: Pipes) -> None:
    """They share the open file description, and would be surprised."""
    assert os.get_blocking(pipes.input)
    assert os.get_blocking(pipes.output)


def test_a_slow_reader_pauses_and_loses_nothing(pipes: Pipes) -> None:
    """What the pipe does not take is queued, in order, and the producer goes on once it is empty."""
    rig, data = pipes.rig, os.urandom(1 << 20) * 3
    rig.end.transport.write(data)
    assert rig.chain.paused
    assert rig.end.unacknowledged_bytes > 0
    assert rig.end.progress.acknowledged == len(data) - rig.end.unacknowledged_bytes
    rig.end.transport.write(b"more")
    rig.end.transport.unregisterProducer()
    rig.end.finish()
    found = b""
    while len(found) < len(data) + 4:
        found += os.read(pipes.read, 1 << 20)
        rig.turn(2)
    assert found == data + b"more"
    assert os.read(pipes.read, 1) == b""


def test_the_producer_is_resumed_when_everything_is_written(pipes: Pipes) -> None:
    """And not earlier."""
    rig = pipes.rig
    rig.end.transport.write(bytes(3 << 20))
    assert rig.chain.paused
    found = len(os.read(pipes.read, 1 << 20))
    rig.turn(2)
    assert rig.chain.paused
    while found < 3 << 20:
        found += len(os.read(pipes.read, 1 << 20))
        rig.turn(2)
    assert not rig.chain.paused


def test_a_paused_input_stays_where_it_is(pipes: Pipes) -> None:
    """Nothing is read before it is resumed."""
    rig = pipes.rig
    rig.end.transport.pauseProducing()
    rig.end.transport.pauseProducing()
    os.write(pipes.feed, b"x" * 100)
    rig.turn()
    assert rig.events.received == b""
    rig.end.transport.reads_bulk = False
    assert not rig.end.transport.reads_bulk
    rig.end.transport.resumeProducing()
    rig.end.transport.resumeProducing()
    rig.turn()
    assert rig.events.received == b"x" * 100


def test_a_reader_that_leaves_ends_everything(pipes: Pipes) -> None:
    """It is noticed at once, even if nothing is written."""
    os.close(pipes.read)
    pipes.rig.turn()
    assert pipes.rig.events.lost is not None
    problem = pipes.rig.events.lost.value
    assert isinstance(problem, Problem)
    assert (problem.slug, problem.status) == ("stdout-closed", Status.UNREAD)


def test_a_reader_that_leaves_while_it_is_written_to(pipes: Pipes) -> None:
    """The rest is discarded."""
    pipes.rig.end.transport.write(bytes(3 << 20))
    os.close(pipes.read)
    pipes.rig.end.transport.write(b"more")
    pipes.rig.turn()
    assert pipes.rig.events.lost is not None
    assert pipes.rig.events.lost.check(Problem)


def test_the_end_of_the_gateway_ends_a_silent_input(pipes: Pipes) -> None:
    """After what was still to be written."""
    rig = pipes.rig
    rig.end.transport.write(b"rest")
    rig.end.gateway_ended()
    rig.end.finish()
    rig.turn()
    assert rig.events.lost is not None
    assert os.read(pipes.read, 100) == b"rest"


def test_the_end_of_the_gateway_after_that_of_the_output(pipes: Pipes) -> None:
    """In the other order."""
    rig = pipes.rig
    rig.end.finish()
    rig.turn()
    assert rig.events.lost is None
    rig.end.gateway_ended()
    rig.turn()
    assert rig.events.lost is not None


def test_an_aborted_end_discards(pipes: Pipes) -> None:
    """What waits is not written."""
    pipes.rig.end.transport.write(bytes(3 << 20))
    pipes.rig.end.abort()
    pipes.rig.end.transport.write(b"too late")
    pipes.rig.turn()
    assert pipes.rig.events.lost is not None


def test_its_consumer_may_stop_it(pipes: Pipes) -> None:
    """As any producer (`IPushProducer`)."""
    pipes.rig.end.transport.stopProducing()
    pipes.rig.turn()
    assert pipes.rig.events.lost is not None


def test_files(tmp_path: Path) -> None:
    """epoll can't watch them: they are read piece by piece, one in each turn."""
    data = os.urandom(600_000)
    (tmp_path / "in").write_bytes(data)
    source = os.open(tmp_path / "in", os.O_RDONLY)
    sink = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    rig = Rig(source, sink)
    rig.turn(2)
    assert 0 < len(rig.events.received) < len(data)
    rig.end.transport.pauseProducing()
    kept = len(rig.events.received)
    rig.turn()
    assert len(rig.events.received) == kept
    rig.end.transport.resumeProducing()
    rig.turn(20)
    assert (rig.events.received, rig.events.ended) == (data, True)
    rig.end.transport.write(data)
    rig.end.finish()
    assert (tmp_path / "out").read_bytes() == data
    rig.close()
    os.close(source)
    os.close(sink)


def test_a_full_disk_is_a_problem() -> None:
    """With the system's reason."""
    source, feed = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    rig = Rig(source, full)
    rig.end.transport.write(b"x")
    rig.turn()
    assert rig.events.lost is not None
    assert str(rig.events.lost.value) == "stdout-failed: standard output: No space left on device"
    rig.close()
    for descriptor in (source, feed, full):
        os.close(descriptor)


def test_an_input_that_fails_is_a_problem(tmp_path: Path) -> None:
    """A directory, for one."""
    directory, (read, output) = os.open(tmp_path, os.O_RDONLY), os.pipe()
    rig = Rig(directory, output)
    rig.turn()
    assert rig.events.lost is not None
    assert str(rig.events.lost.value) == "stdin-failed: standard input: Is a directory"
    rig.close()
    for descriptor in (directory, read, output):
        os.close(descriptor)


def test_one_socket_for_both() -> None:
    """Its directions end one by one."""
    near, far = socket.socketpair()
    rig = Rig(near.fileno(), os.dup(near.fileno()))
    far.sendall(b"in")
    rig.turn()
    rig.end.transport.write(b"out")
    assert (rig.events.received, far.recv(100)) == (b"in", b"out")
    rig.end.transport.reads_bulk = False
    far.sendall(b"-put")
    rig.turn()
    assert rig.events.received == b"in-put"
    rig.end.finish()
    assert far.recv(100) == b""
    far.sendall(b"still")
    rig.turn()
    far.close()
    rig.turn()
    assert (rig.events.received, rig.events.ended) == (b"in-putstill", True)
    rig.close()
    near.close()


def test_a_terminal_is_read_until_the_target_ends() -> None:
    """Nobody would know that one more line has to be typed."""
    keyboard, terminal = pty.openpty()
    rig = Rig(os.dup(terminal), os.dup(terminal))
    os.write(keyboard, b"typed\n")
    while not rig.events.received:
        rig.turn()
    assert rig.events.received == b"typed\n"
    rig.end.finish()
    rig.turn()
    assert rig.events.lost is not None
    assert os.get_blocking(terminal)
    rig.close()
    os.close(keyboard)
    os.close(terminal)


def test_a_descriptor_that_can_not_be_opened_again(pipes: Pipes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made non-blocking for as long as it is used."""
    monkeypatch.setattr("portofcall.client.descriptors._open_again", lambda *_: None)
    source, feed = os.pipe()
    read, output = os.pipe()
    kept = os.dup(source), os.dup(output)
    rig = Rig(source, output)
    assert not os.get_blocking(source)
    os.write(feed, b"in")
    rig.turn()
    assert rig.events.received == b"in"
    rig.close()
    assert all(os.get_blocking(descriptor) for descriptor in kept)
    for descriptor in (source, feed, read, output, *kept):
        os.close(descriptor)


@pytest.mark.parametrize("kind", [SingleTunnelReadiness, PatientReadiness])
def test_a_patient_reader_answers_within_one_turn(kind: type[Readiness]) -> None:
    """What comes soon after is read without a turn of the reactor, whose timers are called all the same."""
    source, feed = os.pipe()
    read, output = os.pipe()
    rig = Rig(source, output, kind=kind)
    called: list[int] = []
    original = rig.events.backend_sent

    def answer(data: bytes | memoryview) -> None:
        original(data)
        if len(rig.events.received) < 5:
            os.write(feed, b"x")
        elif len(rig.events.received) == 5:
            rig.reactor.callLater(0, called.append, 1)
            os.write(feed, b"x")

    cast(Any, rig.end.transport).pass_on_to(answer)
    os.write(feed, b"x")
    rig.reactor.doIteration(0)
    assert len(rig.events.received) >= 5
    rig.turn()
    assert called
    assert len(rig.events.received) == 6
    rig.close()
    for descriptor in (source, feed, read, output):
        os.close(descriptor)


def test_a_patient_reader_lets_the_reactor_write() -> None:
    """It does not wait for more while something is queued."""
    source, feed = os.pipe()
    read, output = os.pipe()
    rig = Rig(source, output, kind=SingleTunnelReadiness)
    rig.end.transport.write(bytes(3 << 20))
    os.write(feed, b"x")
    rig.reactor.doIteration(0)
    assert rig.events.received == b"x"
    assert select.select([read], [], [], 0)[0]
    rig.close()
    for descriptor in (source, feed, read, output):
        os.close(descriptor)


def test_many_messages_in_a_row_leave_the_reactor_its_turn() -> None:
    """As a listener or a timer may wait for it."""
    source, feed = os.pipe()
    read, output = os.pipe()
    rig = Rig(source, output, kind=SingleTunnelReadiness)
    called: list[int] = []
    rig.reactor.callLater(0, called.append, 1)

    def more(data: bytes | memoryview) -> None:
        rig.events.received += data
        if not called and len(rig.events.received) < 1000:
            os.write(feed, b"x")

    cast(Any, rig.end.transport).pass_on_to(more)
    os.write(feed, b"x")
    rig.reactor.doIteration(0)
    assert len(rig.events.received) < 50
    rig.turn()
    assert called
    rig.close()
    for descriptor in (source, feed, read, output):
        os.close(descriptor)


def test_an_endless_stream_leaves_the_reactor_its_turn() -> None:
    """A signal asks it for something that is neither a timer nor a write: to end, for example."""
    source, feed = os.pipe()
    read, output = os.pipe()
    rig = Rig(source, output, kind=SingleTunnelReadiness)
    rig.readiness._now = iter(number * 1e-3 for number in range(10_000)).__next__

    def more(data: bytes | memoryview) -> None:
        rig.events.received += data
        if len(rig.events.received) < 10_000:
            os.write(feed, b"x")

    cast(Any, rig.end.transport).pass_on_to(more)
    os.write(feed, b"x")
    rig.reactor.doIteration(0)
    assert len(rig.events.received) < 1000
    rig.close()
    for descriptor in (source, feed, read, output):
        os.close(descriptor)

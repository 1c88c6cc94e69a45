"""Fakes and other code that several test modules share."""

import itertools
import json
import os
import re
from base64 import b64encode
from collections.abc import Coroutine, Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import strategies as st
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorFDSet
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.egress.dialer import Dialer
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.policy import Policy, Undecided, Verdict
from portofcall.errors import GatewayError
from portofcall.limits.admission import Admission
from portofcall.limits.values import KiB, Limits
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.delivery import Delivery, Progress
from portofcall.relay.interfaces import Buffer, IClientEnd, IStreamTransport
from portofcall.relay.readiness import Readiness
from portofcall.relay.states import Phase
from portofcall.relay.tunnel import Tunnel
from portofcall.target import Address, Target
from portofcall.testing import FakeTransport, Response, World


@implementer(IReactorFDSet)
class FakeWatch:
    """The part of a reactor that watches descriptors.

    Attributes:
        readers, writers: what it watches.
    """

    def __init__(self) -> None:
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        if reader not in self.readers:
            self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def removeAll(self) -> list[Any]:
        raise NotImplementedError

    def getReaders(self) -> list[Any]:
        return self.readers

    def getWriters(self) -> list[Any]:
        return self.writers


class FakeReactor(FakeWatch):
    """A reactor that is turned by hand.

    Attributes:
        later: what it was asked to call later.
    """

    def __init__(self) -> None:
        super().__init__()
        self.later: list[Any] = []

    def callLater(self, _delay: float, call: Any, *arguments: Any) -> None:
        self.later.append((call, arguments))

    def turn(self) -> None:
        """Let every reader read once, as a reactor does."""
        for reader in list(self.readers):
            why = reader.doRead()
            if why is not None:
                self.removeReader(reader)
                reader.connectionLost(Failure(why))
        later, self.later = self.later, []
        for call, arguments in later:
            call(*arguments)


@implementer(IPushProducer)
class FakeSource:
    """A source of bytes. A test fails if it is paused or resumed twice in a row, or stopped."""

    def __init__(self) -> None:
        self.paused = False
        self.pauses = 0
        self.reads_bulk = True

    def pauseProducing(self) -> None:
        assert not self.paused, "paused twice"
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        assert self.paused, "resumed while it ran"
        self.paused = False

    def stopProducing(self) -> None:
        raise AssertionError("a source is never stopped")


class FakeSink(FakeTransport):
    """A transport that reports how much is queued in it: `queued_bytes`, as the test sets it."""

    queued_bytes = 0


class FakeDelivery:
    """What the peer of a fake connection has acknowledged, as the test sets it: everything, at first."""

    trailer_bytes = 0
    is_exact = True
    failed = False
    unacknowledged_bytes = 0
    progress = Progress()

    def sent(self, size: int) -> None:
        """Have ``size`` more bytes on their way."""
        self.unacknowledged_bytes += size

    def acknowledge(self, size: int) -> None:
        """Acknowledge ``size`` bytes."""
        self.unacknowledged_bytes -= size
        self.progress = Progress(acknowledged=object())

    def hear(self, size: int) -> None:
        """Count ``size`` bytes that came from the peer."""
        self.progress = self.progress._replace(received=self.progress.received + size)


@implementer(IClientEnd)
class FakeClient(FakeSink):
    """The client's end of a tunnel: a transport that can send Close frames, which it logs.

    Attributes:
        pings: the marks of the pings that it was sent.
        answers_pings: whether it answers them, at once.
    """

    reads_bulk = True
    answers_pings = True
    control_frames = answered_mark = 0
    close_code = 1006

    def __init__(self, *, buffer_size: int = 64 * KiB, half_closes: bool = False) -> None:
        super().__init__(buffer_size=buffer_size)
        self.half_closes = half_closes
        self.delivery = FakeDelivery()
        self.pings: list[int] = []

    def ping(self, mark: int) -> None:
        self.pings.append(mark)
        if self.answers_pings:
            self.pong(mark)

    def pong(self, mark: int) -> None:
        """Answer a ping."""
        self.control_frames += 1
        self.answered_mark = mark

    @property
    def unacknowledged_bytes(self) -> int:
        return self.delivery.unacknowledged_bytes

    @property
    def progress(self) -> Progress:
        return self.delivery.progress

    def send_eof(self) -> None:
        assert self.half_closes
        self.log.append("eof")

    def reply(self) -> None:
        self.log.append("reply")

    def finish(self) -> None:
        self.unregisterProducer()
        self.log.append("fin")

    def write(self, data: Buffer) -> None:
        super().write(bytes(data))

    def close(self, code: int, reason: str) -> None:
        self.close_code = code
        self.log.append(f"{code} {reason}".strip())

    def drop(self) -> None:
        self.unregisterProducer()
        self.log.append("close")

    def abort(self) -> None:
        self.log.append("reset")


def make_dialer(world: World) -> Dialer:
    """Make a dialer for ``world`` alone, as its gateway has one."""
    return Dialer(
        world.reactor,
        resolver=world.resolver,
        policy=world.gateway.policy,
        targets=world.gateway.targets,
        admission=Admission(world.limits, now=world.reactor.seconds),
        loop_guard=world.gateway.loop_guard,
        local_networks=lambda: world.local_networks,
        limits=world.limits,
        monotonic=world.reactor.seconds,
    )


def open_backend(transport: FakeTransport) -> BackendEnd:
    """Make a backend end that is connected through ``transport``."""
    backend = BackendEnd(Readiness(None))
    backend.makeConnection(cast(IStreamTransport, transport))
    return backend


TUNNEL_LIMITS = Limits(
    high_water_bytes=256 * KiB, close_stall_seconds=30, linger_seconds=5, close_grace_seconds=20
)


class TunnelRig:
    """A tunnel between a fake client and a fake backend, with a clock that is turned by hand.

    Args:
        dialed: whether the backend is connected already.
        page: whether the client is a page.
        half_closes: whether it speaks portofcall.v1.
        limits: of the tunnel.
    """

    def __init__(
        self,
        *,
        dialed: bool = True,
        page: bool = False,
        half_closes: bool = False,
        limits: Limits = TUNNEL_LIMITS,
    ) -> None:
        self.clock = Clock()
        self.client = FakeClient(half_closes=half_closes)
        self.transport = FakeTransport()
        self.backend = open_backend(self.transport)
        self.closed: list[Tunnel] = []
        self.tunnel = Tunnel(
            self.client, page=page, limits=limits, clock=self.clock, on_closed=self.closed.append
        )
        self.delivery = FakeDelivery()
        self.backend.transport.delivery = cast(Delivery, self.delivery)
        self.ends = self.tunnel._ends
        self.dialing: Deferred[BackendEnd] = Deferred()
        self.tunnel.dial(self.dialing)
        if dialed:
            self.dialing.callback(self.backend)

    def wait(self, seconds: float) -> None:
        """Let time pass, in small steps."""
        self.clock.pump([0.05] * round(seconds / 0.05))

    def client_leaves(self) -> None:
        """Let the client's connection end after its closing handshake."""
        self.tunnel.client_closed()
        self.tunnel.client_lost()

    def assert_closed(self) -> None:
        """Both ends are gone, this was reported once, and no timer is left."""
        assert self.tunnel.phase is Phase.CLOSED
        assert self.closed == [self.tunnel]
        assert self.clock.getDelayedCalls() == []


class Post:
    """A POST whose response comes when its probe has ended."""

    def __init__(self, world: World, path: str, payload: Any) -> None:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.transport = world.connect()
        self.transport.send(
            f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    @property
    def response(self) -> Response:
        """The response, once."""
        return Response(self.transport.take())


def sentences(lines: Sequence[str], beginning: str = "") -> list[str]:
    """Return the sentences of the records in the log that begin like this, without their pairs."""
    return [line.partition(" id=")[0] for line in lines if " id=" in line and line.startswith(beginning)]


def python_blocks(document: str) -> list[str]:
    """Return the Python code that a document shows, block by block. Its path is relative to the checkout."""
    text = (Path(__file__).parent.parent / document).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut ``data`` at these places, as far as they are in it."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def corpus() -> list[tuple[str, str, str | int, list[Address] | None, str]]:
    """The rows of egress/corpus.txt: verdict, host, port, addresses, trick."""
    rows: list[tuple[str, str, str | int, list[Address] | None, str]] = []
    for line in (Path(__file__).parent / "egress" / "corpus.txt").read_text("ascii").splitlines():
        if line and not line.startswith("#"):
            columns, _, trick = line.rpartition("  # ")
            verdict, values = columns.split(maxsplit=1)
            host, port, *more = json.loads(f"[{values}]")
            addresses = [ip_address(text) for text in more[0]] if more else None
            rows.append((verdict, host, port, addresses, trick))
    return rows


NO_NETWORKS = LocalNetworks()


def decide(
    policy: Policy,
    target: Target,
    addresses: Sequence[Address] | None = None,
    *,
    local: LocalNetworks = NO_NETWORKS,
) -> Verdict:
    """Judge a target, a name with its addresses; without them, "allowed" means that these decide."""
    verdict = policy.judge(target, local)
    if not isinstance(verdict, Undecided):
        return verdict
    return Verdict(True, verdict.reason) if addresses is None else verdict.resolved_to(addresses)


#: Text that is a rule, or comes close to one, or not.
RULE_TEXT = st.one_of(
    st.text(max_size=60),
    st.text("0123456789abcdef.:-[]/=*,% public\0\n", max_size=60),
    st.from_regex(
        r"(public|\*\.a\.b|a\.b(=10\.0\.0\.0/8)?|\[?[0-9a-f:.]{1,20}(/[0-9]{1,3})?\]?)(:[0-9,*-]{0,12})?"
    ),
)


class Outcome:
    """What a coroutine or a Deferred has come to.

    Attributes:
        results: empty until it is done; then its value, or the failure.
        deferred: of the coroutine; may be cancelled.
    """

    def __init__(self, awaited: Deferred[Any] | Coroutine[Deferred[Any], Any, Any]) -> None:
        self.deferred: Deferred[Any] = (
            awaited if isinstance(awaited, Deferred) else Deferred.fromCoroutine(awaited)
        )
        self.results: list[Any] = []
        self.deferred.addBoth(self.results.append)

    @property
    def value(self) -> Any:
        """The value; a test fails if there is none."""
        (result,) = self.results
        assert not isinstance(result, Failure), result
        return result

    @property
    def error(self) -> BaseException:
        """The error; a test fails if there is none."""
        (failure,) = self.results
        assert isinstance(failure, Failure), failure
        assert failure.value is not None
        return failure.value


class SlowChecker(InMemoryUsernamePasswordDatabaseDontUse):
    """A password checker that decides when the test makes it."""

    def __init__(self) -> None:
        super().__init__()
        self.decision: Deferred[bytes] = Deferred()

    def requestAvatarId(self, credentials: Any) -> Any:
        return self.decision


class Time:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def basic(user: str, password: str) -> list[bytes]:
    """Write an Authorization header."""
    return [b"Basic " + b64encode(f"{user}:{password}".encode())]


def turn(clock: Clock) -> None:
    """Turn a reactor once: call what is due, but nothing that is scheduled meanwhile."""
    for call in [call for call in clock.calls if call.getTime() <= clock.seconds()]:
        clock.calls.remove(call)
        call.called = True
        call.func(*call.args, **call.kw)


def need_prometheus() -> None:
    """Skip a test where `prometheus_client`, an extra dependency, is missing; in CI nothing is skipped."""
    if find_spec("prometheus_client") is None:
        assert not os.environ.get("CI"), "CI has to install prometheus-client"
        pytest.skip("prometheus-client is not installed")


def leaves(kind: type[GatewayError]) -> list[type[GatewayError]]:
    """List the errors below ``kind`` that have none below them."""
    below = kind.__subclasses__()
    return [leaf for child in below for leaf in leaves(child)] if below else [kind]

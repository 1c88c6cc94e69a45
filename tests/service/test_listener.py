"""A listener listens once, on private addresses only unless it may be exposed, and says so when it can't."""

from ipaddress import ip_address
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from portofcall.access.client_address import parse_network
from portofcall.egress.loop_guard import LoopGuard
from portofcall.service.listener import Listener, NotListening

LOOPBACK = IPv4Address("TCP", "127.0.0.1", 8080)
PUBLIC = IPv4Address("TCP", "192.0.2.1", 8080)
UNIX = UNIXAddress(b"/run/x")


class FakePort:
    """A port that counts how often it was stopped."""

    def __init__(self, host: IAddress) -> None:
        self.host = host
        self.stopped = 0

    def getHost(self) -> IAddress:
        return self.host

    def stopListening(self) -> None:
        self.stopped += 1


@implementer(IStreamServerEndpoint)
class FakeEndpoint:
    """An endpoint that reports its port when the test says so."""

    def __init__(self) -> None:
        self.attempts: list[Deferred[Any]] = []

    def listen(self, _factory: object) -> Deferred[Any]:
        self.attempts.append(Deferred())
        return self.attempts[-1]


@implementer(IStreamServerEndpoint)
class QuickEndpoint:
    """An endpoint that reports its port, or its problem, at once."""

    def __init__(self, outcome: FakePort | Exception) -> None:
        self.outcome = outcome

    def listen(self, _factory: object) -> Deferred[Any]:
        return fail(self.outcome) if isinstance(self.outcome, Exception) else succeed(self.outcome)


class Rig:
    """A listener, what it does to the loop guard, and the problems that it reports late."""

    def __init__(
        self, endpoint: Any, description: str = "tcp:8080", *, may_be_exposed: bool = False, trusted: str = ""
    ) -> None:
        self.loop_guard = LoopGuard(lambda _: False)
        self.problems: list[NotListening] = []
        self.listener = Listener(
            description,
            endpoint,
            Factory(),
            loop_guard=self.loop_guard,
            may_be_exposed=may_be_exposed,
            trusted=[parse_network(trusted)] if trusted else [],
            failed=self.problems.append,
        )

    def start(self) -> None:
        """Start as twistd does."""
        self.listener.privilegedStartService()
        self.listener.startService()

    def guards(self, host: str = "127.0.0.1") -> bool:
        """Whether the gateway refuses to dial its own listener."""
        return self.loop_guard.include(ip_address(host), 8080)


@pytest.mark.parametrize(
    ("host", "description", "url", "more"),
    [
        (LOOPBACK, "tcp:0", "http://127.0.0.1:8080", " (tunnels: ws://127.0.0.1:8080/api/connect)"),
        (LOOPBACK, "tls+tcp:0", "https://127.0.0.1:8080", " (tunnels: wss://127.0.0.1:8080/api/connect)"),
        (
            IPv4Address("TCP", "0.0.0.0", 8080),
            "haproxy:tcp:0",
            "http://127.0.0.1:8080",
            " (tunnels: ws://127.0.0.1:8080/api/connect, on all addresses of this machine, "
            "for proxies that send the PROXY protocol)",
        ),
        (UNIX, "unix:/run/x", "http://unix:/run/x", ""),
    ],
)
def test_url_is_logged_once(host: IAddress, description: str, url: str, more: str, logged: list[str]) -> None:
    """With the port that the endpoint got, and the URL of tunnels."""
    rig = Rig(QuickEndpoint(FakePort(host)), description, may_be_exposed=True)
    rig.start()
    assert rig.listener.url == url
    assert logged == [f"listening on {url}{more}"]


def test_gateway_does_not_dial_its_listener_while_it_listens() -> None:
    """Once it is stopped, the address may belong to somebody else."""
    port = FakePort(LOOPBACK)
    rig = Rig(QuickEndpoint(port))
    rig.start()
    assert rig.guards()
    rig.listener.stopService()
    assert not rig.guards()
    assert port.stopped == 1
    assert rig.listener.url == ""


def test_two_starts_are_one_listen() -> None:
    """`startService` after `privilegedStartService` listens no second time, however long the first takes."""
    endpoint = FakeEndpoint()
    rig = Rig(endpoint)
    rig.start()
    assert len(endpoint.attempts) == 1
    endpoint.attempts[0].callback(FakePort(LOOPBACK))
    assert (rig.listener.url, rig.guards(), rig.problems) == ("http://127.0.0.1:8080", True, [])


def test_start_without_privileges_listens_too() -> None:
    """`startService` alone is enough."""
    endpoint = FakeEndpoint()
    Rig(endpoint).listener.startService()
    assert len(endpoint.attempts) == 1


@pytest.mark.parametrize(
    ("host", "description", "trusted"),
    [
        (PUBLIC, "tcp:8080", ""),
        (UNIX, "haproxy:unix:/run/x", ""),
        (UNIX, "unix:/run/x", "127.0.0.1"),
        (LOOPBACK, "tcp:8080:interface=127.0.0.1", "127.0.0.0/8"),
    ],
)
def test_exposed_listener_without_authentication_is_refused(
    host: IAddress, description: str, trusted: str, logged: list[str]
) -> None:
    """One line names the endpoint and the ways out; the port is closed before the reactor can accept."""
    port = FakePort(host)
    rig = Rig(QuickEndpoint(port), description, trusted=trusted)
    with pytest.raises(NotListening) as caught:
        rig.listener.privilegedStartService()
    assert str(caught.value).startswith(f"--listen {description}: ")
    assert str(caught.value).endswith(
        " from other machines, but no authentication is configured; "
        "add --auth or --ticket-key, or --no-auth to allow this"
    )
    assert (port.stopped, rig.listener.url, rig.guards(), logged) == (1, "", False, [])


def test_exposed_listener_with_tls_has_one_more_way_out() -> None:
    """Client certificates."""
    rig = Rig(QuickEndpoint(FakePort(PUBLIC)), "tls+tcp:8080")
    with pytest.raises(NotListening, match="; add --auth, --ticket-key or --tls-client-ca, or --no-auth to "):
        rig.listener.privilegedStartService()


def test_exposed_listener_is_refused_when_its_port_is_known_later() -> None:
    """The problem is reported, the port is closed at once."""
    endpoint, port = FakeEndpoint(), FakePort(PUBLIC)
    rig = Rig(endpoint)
    rig.start()
    assert rig.problems == []
    endpoint.attempts[0].callback(port)
    (problem,) = rig.problems
    assert "--no-auth" in str(problem)
    assert (port.stopped, rig.listener.url, rig.guards("192.0.2.1")) == (1, "", False)
    rig.listener.stopService()
    assert port.stopped == 1


@pytest.mark.parametrize("endpoint", [QuickEndpoint(FakePort(PUBLIC)), FakeEndpoint()])
def test_listener_may_be_exposed_on_purpose(endpoint: Any) -> None:
    """With authentication or --no-auth."""
    rig = Rig(endpoint, may_be_exposed=True)
    rig.start()
    for attempt in getattr(endpoint, "attempts", []):
        attempt.callback(FakePort(PUBLIC))
    assert rig.listener.url == "http://192.0.2.1:8080"
    assert rig.problems == []


TAKEN = CannotListenError("127.0.0.1", 8080, OSError(98, "Address already in use"))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TAKEN, "--listen tcp:8080: [Errno 98] Address already in use"),
        (RuntimeError("no\ntunnel"), "--listen tcp:8080: RuntimeError: no\\ntunnel"),
    ],
)
def test_endpoint_that_fails_is_one_line(error: Exception, line: str) -> None:
    """Raised when that is known at once, else reported; the cause is kept where the line can't say it all."""
    with pytest.raises(NotListening) as caught:
        Rig(QuickEndpoint(error)).listener.privilegedStartService()
    assert str(caught.value) == line
    assert caught.value.__cause__ is (None if error is TAKEN else error)
    endpoint = FakeEndpoint()
    rig = Rig(endpoint)
    rig.start()
    endpoint.attempts[0].errback(error)
    assert [str(problem) for problem in rig.problems] == [line]


def test_start_after_a_failed_one_tries_again() -> None:
    """It must not look as if it listened."""
    listener = Rig(QuickEndpoint(TAKEN)).listener
    for start in (listener.privilegedStartService, listener.startService):
        with pytest.raises(NotListening):
            start()


@pytest.mark.parametrize("outcome", [FakePort(LOOPBACK), FakePort(PUBLIC), RuntimeError("too late")])
def test_what_comes_after_the_stop_is_dropped(outcome: FakePort | Exception) -> None:
    """A port is closed, a problem is not reported."""
    endpoint = FakeEndpoint()
    rig = Rig(endpoint)
    rig.start()
    rig.listener.stopService()
    endpoint.attempts[0].callback(outcome) if isinstance(outcome, FakePort) else endpoint.attempts[0].errback(
        outcome
    )
    assert (rig.listener.url, rig.guards(), rig.problems) == ("", False, [])
    assert getattr(outcome, "stopped", 1) == 1


def test_port_of_an_earlier_start_is_closed() -> None:
    """A service that is stopped and started again has one port."""
    endpoint, first, second = FakeEndpoint(), FakePort(LOOPBACK), FakePort(LOOPBACK)
    rig = Rig(endpoint)
    rig.start()
    rig.listener.stopService()
    rig.start()
    endpoint.attempts[1].callback(second)
    endpoint.attempts[0].callback(first)
    assert (first.stopped, second.stopped) == (1, 0)
    rig.listener.stopService()
    assert (first.stopped, second.stopped) == (1, 1)
    assert not rig.guards()

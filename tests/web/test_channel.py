"""A connection is bounded in size and time, whatever its client does, and is closed when it is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.ssl import PrivateCertificate
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Request

from portofcall.access.client_address import parse_network
from portofcall.access.gatekeeper import AccessRules
from portofcall.limits.values import KiB, Limits, MiB, Rate
from portofcall.testing import FakeTransport, Response, World, upgrade_request
from portofcall.web.connection_state import State
from tests.support import chunks, sentences, turn

START = b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\n"


def test_request_that_drips_ends_after_ten_seconds() -> None:
    """However steadily its bytes come."""
    world = World()
    transport = world.connect()
    for byte in START[:10]:
        transport.send(bytes([byte]))
        world.reactor.advance(1.1)
    answer = Response(transport.take())
    assert answer.status == 408
    assert answer.json["code"] == "request-timeout"
    world.reactor.advance(2.1)
    assert transport.log == ["close"]


def test_body_that_drips_ends_in_the_same_time() -> None:
    """The time is for the whole request."""
    world = World()
    transport = world.connect()
    transport.send(START + b"Content-Length: 100\r\n\r\n")
    world.reactor.pump([1.0] * 9)
    transport.send(b"{")
    assert transport.take() == b""
    world.reactor.pump([1.0] * 2)
    assert Response(transport.take()).status == 408


def test_silent_connection_ends_too() -> None:
    """Nothing has to be sent to run out of time."""
    world = World()
    transport = world.connect()
    world.reactor.pump([10.1, 2.1])
    assert "close" in transport.log


def test_connection_may_be_idle_for_a_minute() -> None:
    """Browsers keep connections."""
    world = World()
    transport = world.connect()
    transport.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert Response(transport.take()).status == 200
    world.reactor.advance(59)
    transport.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert Response(transport.take()).status == 200
    world.reactor.advance(61)
    assert transport.take() == b""
    assert "close" in transport.log


def test_work_on_a_request_is_not_in_its_time() -> None:
    """A slow target is not the client's fault."""
    world = World()
    transport = world.connect()
    body = b'{"host": "93.184.215.14", "port": 1, "timeout": 30000}'
    transport.send(START + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    world.reactor.pump([1.0] * 29)
    assert transport.take() == b""
    world.accept()
    assert Response(transport.take()).status == 200


def test_closed_connection_leaves_no_timer() -> None:
    """Nothing is left of a client that disconnects."""
    world = World()
    transport = world.connect()
    transport.lose()
    assert world.reactor.getDelayedCalls() == []


def test_too_many_that_wait_make_room_for_a_new_one() -> None:
    """The oldest is reset: one that is silent, or one that is idle after a response."""
    world = World(limits=Limits(max_waiting=2))
    idle = world.connect()
    idle.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    silent = world.connect()
    third = world.connect()
    assert (idle.log, silent.log) == (["reset"], [])
    third.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert Response(third.take()).status == 200
    world.connect()
    assert silent.log == ["reset"]


def test_connection_that_is_served_is_not_evicted() -> None:
    """A ping under way and a tunnel stay, however many connections wait."""
    world = World(limits=Limits(max_waiting=1))
    pinging = world.connect()
    body = b'{"host": "93.184.215.14", "port": 1}'
    pinging.send(START + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    tunnel = world.connect()
    tunnel.send(upgrade_request())
    for _ in range(3):
        world.connect()
    assert "reset" not in pinging.log + tunnel.log
    world.accept(0)
    assert Response(pinging.take()).status == 200


def test_later_request_has_its_own_ten_seconds() -> None:
    """From its first byte, however long the connection was idle before."""
    world = World()
    for ahead in (b"", b"GET / HT"):
        transport = world.connect()
        transport.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n" + ahead)
        world.reactor.advance(0)
        if not ahead:
            world.reactor.advance(50)
            transport.send(b"GET / HT")
        transport.take()
        world.reactor.pump([1.0] * 9)
        assert transport.take() == b""
        world.reactor.advance(1.1)
        assert Response(transport.take()).status == 408


# Refusals

HEAD = b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\n"
#: Heads that are refused, without the empty line at the end, and the status; and limits to refuse all.
REFUSED: dict[str, tuple[bytes, int]] = {
    "no Host": (b"GET / HTTP/1.1\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400),
    "three empty lines": (b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n", 400),
    "unknown version": (b"GET / HTTP/2.0\r\nHost: a\r\n", 400),
    "no version": (b"GET /\r\nHost: a\r\n", 400),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    "authority as target": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n", 400),
    "header without colon": (HEAD + b"nonsense\r\n", 400),
    "space before colon": (HEAD + b"Content-Length : 5\r\n", 400),
    "NUL in header": (HEAD + b"A: \0\r\n", 400),
    "negative length": (HEAD + b"Content-Length: -1\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n", 400),
    "length and chunked": (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
    "gzip": (HEAD + b"Transfer-Encoding: gzip\r\n", 400),
    "identity": (HEAD + b"Transfer-Encoding: identity\r\n", 400),
    "gzip, chunked": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n", 400),
    "too many lines": (HEAD + b"A: b\r\n" * 101, 431),
    "too many bytes": (HEAD + b"".join(b"A%d: %s\r\n" % (n, b"b" * 1700) for n in range(10)), 431),
    "too long a line": (b"GET /" + b"x" * 16 * KiB + b" HTTP/1.1\r\nHost: a\r\n", 431),
    "too fast": (HEAD, 429),
    "too long a body": (HEAD + b"Content-Length: 4097\r\n", 413),
    "chunked body": (HEAD + b"Transfer-Encoding: chunked\r\n", 413),
}
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a whole body": b"1002\r\n" + b" " * 4098 + b"\r\n0\r\n\r\n",
    "a part of a body": b"1002\r\n" + b" " * 4097,
    "many chunks": b"1\r\n \r\n" * 101,
    "another request": b"1002\r\n" + b" " * 4098 + b"\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
}
ENDS = ["client waits", "client sends on", "client leaves"]


def segmentations(data: bytes, head: int) -> Iterator[list[bytes]]:
    """Cut ``data`` in several ways: whole, around the end of the head, and in small pieces."""
    for cuts in ([], [head], [head - 3, head + 1], list(range(0, len(data), 997)), list(range(0, 400, 3))):
        yield chunks(data, cuts)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("refused", REFUSED)
def test_every_refused_connection_is_closed_in_time(refused: str, body: str, end: str) -> None:
    """With one response, and counted until it is lost, whatever was sent and however it was cut."""
    lines, status = REFUSED[refused]
    if refused == "chunked body" and body == "nothing":
        status = 408
    data = lines + b"\r\n" + BODIES[body]
    for pieces in segmentations(data, len(lines) + 2):
        world = World(limits=Limits(request_rate=Rate(1e-9, 0 if refused == "too fast" else 99)))
        transport = world.connect()
        for piece in pieces:
            transport.send(piece)
        world.reactor.advance(0)
        if status == 408:
            world.reactor.advance(10.1)
        written = transport.take()
        assert written.count(b"HTTP/1.1 ") == 1
        response = Response(written)
        assert (response.status, response.headers["connection"]) == (status, "close")
        assert response.json["success"] is False
        assert transport.protocol.state is State.DROPPING
        assert transport.protocol.clearLineBuffer() == b"", "the rest of the read is not parsed"
        if end == "client sends on":
            for _ in range(9):
                transport.send(bytes(MiB))
        elif end == "client waits":
            world.reactor.advance(2.1)
        if end != "client leaves":
            assert (transport.log, transport.protocol.state) == (["close"], State.CLOSING)
            assert len(world.site.waiting) == 1
            world.reactor.advance(5.1)
            assert transport.log == ["close", "reset"]
        transport.lose()
        assert len(world.site.waiting) == 0
        assert world.reactor.getDelayedCalls() == []
        assert (transport.take(), world.dialed) == (b"", [])


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "invalid-header", "Host must be given once"),
        (b"GET /\r\n", "invalid-request", "a request line must be METHOD TARGET HTTP/1.1"),
        (HEAD + b"Content-Length: x\r\n\r\n", "invalid-header", "the header Content-Length is malformed"),
        (HEAD + b"B\xe4h : x\r\n\r\n", "invalid-header", "the header B\\xe4h  is malformed"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", "invalid-request", "the chunks of the body"),
        (HEAD + b"Content-Length: 4097\r\n\r\n", "body-too-large", "at most 4096 bytes"),
        (b"GET /" + b"x" * 16 * KiB, "head-too-large", "at most 16384 bytes"),
    ],
)
def test_refusal_names_what_is_wrong(raw: bytes, code: str, words: str, logged: list[str]) -> None:
    """In the JSON of the API's errors, and in one line of the log."""
    transport = World().connect()
    transport.send(raw)
    response = Response(transport.take())
    assert response.json["code"] == code
    assert words in response.json["error"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert sentences(logged) == [f"192.0.2.1:40000 refused: {code}: {response.json['error']}"]
    assert f" id={response.headers['x-request-id']} status={response.status}" in logged[-1]


def test_hundred_header_lines_and_16_kib_are_allowed() -> None:
    """The limits are inclusive."""
    for lines in (b"A: b\r\n" * 99, b"A: %s\r\n" % (b"b" * (16 * KiB - 38))):
        transport = World().connect()
        transport.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n" + lines + b"\r\n")
        assert Response(transport.take()).status == 200


def test_body_that_is_mostly_its_coding_is_refused() -> None:
    """A few bytes of content, with a kilobyte of chunk extensions for each."""
    transport = World().connect()
    transport.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(8):
        transport.send(b"1;" + b"x" * 1000 + b"\r\n \r\n")
    assert transport.take() == b""
    transport.send(b"1;" + b"x" * 1000 + b"\r\n \r\n")
    response = Response(transport.take())
    assert (response.status, response.json["code"]) == (413, "body-too-large")
    assert "too large ends of chunks" in response.json["error"]
    assert transport.protocol.state is State.DROPPING


def test_expectation_is_met_only_if_the_body_is_wanted() -> None:
    """A client that waits for 100 learns at once that its body is too large."""
    for length, responses in ((4096, [b"100"]), (4097, [b"413"])):
        transport = World().connect()
        transport.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
        assert [part[:3] for part in transport.take().split(b"HTTP/1.1 ")[1:]] == responses


# Rates

GET = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [GET, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", upgrade_request("x")],
    ids=["200", "404", "405", "upgrade"],
)
def test_every_request_counts_for_the_rate(raw: bytes) -> None:
    """Over it the client gets 429 with the time to wait, and its connection is closed."""
    world = World(limits=Limits(request_rate=Rate(0.5, 2)))
    for _ in range(2):
        transport = world.connect()
        transport.send(raw)
        assert Response(transport.take()).status != 429
    transport = world.connect()
    transport.send(raw)
    response = Response(transport.take())
    assert (response.status, response.json["code"]) == (429, "too-many-requests")
    assert (response.headers["retry-after"], response.headers["connection"]) == ("2", "close")
    world.reactor.advance(2.1)
    assert transport.log[-1] == "close"
    transport = world.connect()
    transport.send(raw)
    assert Response(transport.take()).status != 429


def test_pipelined_requests_count_each() -> None:
    """The rest of them is dropped."""
    world = World(limits=Limits(request_rate=Rate(1, 3)))
    transport = world.connect()
    transport.send(GET * 10)
    world.reactor.advance(0)
    assert [part[:3] for part in transport.take().split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3 + [b"429"]


def test_clients_of_a_trusted_proxy_have_a_rate_each() -> None:
    """As the proxy names them."""
    rules = AccessRules(trusted=(parse_network("192.0.2.1"),))
    world = World(limits=Limits(request_rate=Rate(1, 1)), rules=rules)
    statuses = []
    for client in ("198.51.100.1", "198.51.100.2", "198.51.100.1"):
        transport = world.connect()
        transport.send(f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n".encode())
        statuses.append(Response(transport.take()).status)
    assert statuses == [200, 200, 429]


def test_response_to_head_has_no_body_even_if_it_is_refused() -> None:
    """The client would take it for the next response."""
    world = World(limits=Limits(request_rate=Rate(1, 1)))
    transport = world.connect()
    transport.send(GET.replace(b"GET", b"HEAD") * 2)
    world.reactor.advance(0)
    responses = [Response(b"HTTP/1.1 " + part) for part in transport.take().split(b"HTTP/1.1 ")[1:]]
    assert [(response.status, response.body) for response in responses] == [(200, b""), (429, b"")]


# TLS


class TCPTransport(FakeTransport):
    """One that Twisted's TLS may close and reset at once, in any order."""

    def loseConnection(self) -> None:
        self.log.append("close")


class TLSClient:
    """A TLS client of a gateway in memory.

    Attributes:
        transport: the TCP connection below.
    """

    def __init__(self, world: World, certificate: Path) -> None:
        options = PrivateCertificate.loadPEM(certificate.read_bytes()).options()
        factory = TLSMemoryBIOFactory(options, False, world.site, clock=world.reactor)
        self._world = world
        self.transport = TCPTransport()
        self.transport.protocol = factory.buildProtocol(self.transport.getPeer())
        self.transport.protocol.makeConnection(self.transport)
        self._tls: Any = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
        self._tls.set_connect_state()

    @property
    def state(self) -> State:
        """The state of the gateway's connection."""
        state: State = self.transport.protocol.wrappedProtocol.state
        return state

    def shake_hands(self, rounds: int = 5) -> None:
        """Do so many round trips of the handshake; five are all."""
        for _ in range(rounds):
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                self.transport.send(self._tls.bio_read(64 * KiB))
                self._tls.bio_write(self.transport.take())
        if rounds == 5:
            self.transport.send(self._tls.bio_read(64 * KiB))

    def send(self, data: bytes) -> None:
        """Send ``data``, encrypted."""
        self._tls.send(data)
        self.transport.send(self._tls.bio_read(64 * KiB))

    def read(self) -> bytes:
        """Let a turn of the reactor pass, and return the content of what came."""
        turn(self._world.reactor)
        self._tls.bio_write(self.transport.take())
        data: bytes = self._tls.recv(64 * KiB)
        return data


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n"])
def test_tls_that_is_never_up_is_reset_after_ten_seconds(certificate: Path, sent: bytes) -> None:
    """And is counted until then: Twisted alone would wait for 75 seconds for a handshake to close."""
    world = World()
    client = TLSClient(world, certificate)
    if sent:
        client.transport.send(sent)
    assert len(world.site.waiting) == 1
    world.reactor.advance(9.9)
    assert "reset" not in client.transport.log
    world.reactor.advance(0.2)
    assert client.transport.log[-1] in {"reset", "close"}
    assert len(world.site.waiting) == 1
    client.transport.lose()
    assert len(world.site.waiting) == 0
    assert world.reactor.getDelayedCalls() == []


def test_client_that_leaves_before_tls_is_up_is_forgotten_at_once(certificate: Path) -> None:
    """Nothing waits for its handshake."""
    world = World()
    client = TLSClient(world, certificate)
    client.shake_hands(rounds=1)
    client.transport.lose()
    assert len(world.site.waiting) == 0
    assert world.reactor.getDelayedCalls() == []


def test_silent_client_over_tls_gets_a_response(certificate: Path) -> None:
    """Once TLS is up, it can read one."""
    world = World()
    client = TLSClient(world, certificate)
    client.shake_hands()
    world.reactor.advance(10.1)
    assert Response(client.read()).status == 408
    assert client.state is State.DROPPING


def test_client_that_does_not_end_tls_is_reset(certificate: Path) -> None:
    """The last response was sent; to close TLS properly takes both sides."""
    world = World()
    client = TLSClient(world, certificate)
    client.shake_hands()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert Response(client.read()).status == 200
    assert (client.state, client.transport.log) == (State.CLOSING, ["nodelay=True"])
    world.reactor.advance(5.1)
    assert client.transport.log[-1] == "reset"


def test_pipelined_requests_take_turns_over_tls(certificate: Path) -> None:
    """All responses come, in order."""
    world = World()
    client = TLSClient(world, certificate)
    client.shake_hands()
    client.send(GET * 20)
    for _ in range(20):
        assert client.read().count(b"HTTP/1.1 200 OK") == 1


def test_connections_of_all_sites_share_the_room() -> None:
    """Several listeners do not make more of it."""
    world = World(limits=Limits(max_waiting=3))
    transports = []
    for _ in range(4):
        world.site = world.gateway.site()
        transports.append(world.connect())
    assert [transport.log for transport in transports] == [["reset"], [], [], []]


class Echo(Resource):
    """Responds with the headers of the request, as the gateway has understood them."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Respond."""
        return repr((request.method, request.uri, list(request.requestHeaders.getAllRawHeaders()))).encode()


_NAMES = st.sampled_from(["Host", "host", "X-A", "x-a", "dnt", "Cookie", "Content-Length", "X A", "", "\xff"])
_VALUES = st.text(st.sampled_from("0ab \t:,=\r\n\x00\xe4"), max_size=6)


@given(headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=6), folded=st.booleans())
@example(headers=[("X-A", "a")], folded=False)
@example(headers=[("X-A", " a\t"), ("x-a", "")], folded=True)
def test_head_is_understood_in_one_way_however_it_is_cut(
    headers: list[tuple[str, str]], folded: bool
) -> None:
    """One that comes whole is parsed at once, others line by line: response and headers are the same."""
    lines = ["GET /a?b=c HTTP/1.1", "Host: gateway", *(f"{name}:{value}" for name, value in headers)]
    raw = "\r\n".join([*lines, *[" folded"] * folded, "", ""]).encode("latin-1")
    responses = []
    for pieces in ([raw], [raw[:1], raw[1:]], [bytes([byte]) for byte in raw]):
        world = World()
        world.site.resource = Echo()
        transport = world.connect()
        for piece in pieces:
            transport.send(piece)
        world.reactor.advance(0)
        response = Response(transport.take() or b"HTTP/1.1 0 \r\n\r\n")
        responses.append((response.status, response.body))
    assert responses[0] == responses[1] == responses[2]

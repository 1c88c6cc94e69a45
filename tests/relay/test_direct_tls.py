"""Tunnels over TLS read and write the socket directly, and leave to Twisted what it does as usual."""

import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure

from portofcall.limits.values import KiB, MiB, Rate
from portofcall.relay import direct_tls as module
from portofcall.relay import tls_records
from portofcall.relay.direct_tls import DirectTLS
from portofcall.relay.direct_transport import direct_transport
from portofcall.relay.interfaces import IStreamTransport
from portofcall.relay.readiness import Readiness
from portofcall.relay.tls_records import MOST_UNITS, Records
from portofcall.testing import FakeTransport
from tests.relay.tls_line import Creator, Line, TurnedReactor
from tests.relay.tls_peers import PROTOCOL, KeyUpdatingPeer, server_context

BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])


class Producer:
    """Counts pauses."""

    paused = False
    pauses = 0
    stopped = False

    def pauseProducing(self) -> None:
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.stopped = True


@pytest.fixture
def line() -> Iterator[Callable[..., Line]]:
    """Makes lines, and closes them."""
    made: list[Line] = []

    def make(*arguments: Any, **more: Any) -> Line:
        made.append(Line(*arguments, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


Make = Callable[..., Line]


@BOTH
@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_bytes_pass_without_twisted(line: Make, version: str, kind: str) -> None:
    """As views of the shared buffers, both ways; the reactor watches the one epoll descriptor."""
    made = line(version, kind=kind)
    assert isinstance(made.server.direct, DirectTLS)
    made.send(b"hello")
    made.until(lambda: made.server.received == b"hello")
    made.server.direct.write(memoryview(b"hello to you"))
    assert made.receive(12) == b"hello to you"
    made.server.direct.writeSequence((b"in ", memoryview(b"pieces")))
    assert made.receive(9) == b"in pieces"
    assert made.server.kinds == {memoryview}
    assert made.reactor.readers == [made.server.factory.readiness]
    assert made.reactor.writers == []


@BOTH
def test_what_came_with_the_upgrade_is_received_first(line: Make, version: str) -> None:
    """It was decrypted already, or is still in the BIO; then comes what is read directly."""
    early = bytes(range(256)) * 300
    made = line(version, with_go=early[:10_000])
    made.send(early[10_000:])
    made.until(lambda: len(made.server.received) == len(early))
    assert made.server.received == early


@BOTH
def test_large_transfers_are_whole_both_ways(line: Make, version: str) -> None:
    """In pieces of several records, and without a producer more is queued than the socket takes."""
    made = line(version)
    data = bytes(range(256)) * 8 * KiB
    made.send(data)
    made.until(lambda: len(made.server.received) == len(data))
    assert made.server.received == data
    assert max(made.server.turns) > 16 * KiB
    for start in range(0, len(data), 300_000):
        made.server.direct.writeSequence((b"<head>", memoryview(data)[start : start + 300_000]))
    received = made.receive(len(data) + 7 * len(b"<head>"))
    assert received.replace(b"<head>", b"") == data


@settings(max_examples=20, deadline=None)
@given(
    version=st.sampled_from(["1.2", "1.3"]),
    up=st.lists(st.tuples(st.integers(1, 30_000), st.integers(1, 16 * KiB)), max_size=5),
    down=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60_000)), max_size=5),
    pauses=st.lists(st.booleans(), max_size=10),
)
def test_bytes_in_are_bytes_out(
    version: str, up: list[tuple[int, int]], down: list[tuple[int, int]], pauses: list[bool]
) -> None:
    """Under any sizes of records and writes, and any pauses."""
    made = Line(version)
    sent_up = sent_down = b""
    for number, (size, record_bytes) in enumerate(up):
        piece = bytes([number]) * size
        sent_up += piece
        made.send(piece, record_bytes)
        if number < len(pauses) and pauses[number]:
            made.server.direct.pauseProducing()
            made.reactor.turn()
            made.server.direct.resumeProducing()
        made.reactor.turn()
    for number, (head, size) in enumerate(down):
        pieces = b"h" * head, memoryview(bytes([number]) * size)
        sent_down += b"".join(pieces)
        if head % 2:
            made.server.direct.writeSequence(pieces)
        else:
            made.server.direct.write(b"".join(pieces))
        made.reactor.turn()
    made.until(lambda: len(made.server.received) >= len(sent_up))
    assert made.receive(len(sent_down)) == sent_down
    assert made.server.received == sent_up
    made.close()


# Backpressure


def stuck(made: Line) -> tuple[Producer, bytes]:
    """Write until the producer is paused, to a client that does not read."""
    producer, sent = Producer(), b""
    made.server.direct.registerProducer(producer, True)
    made.connection.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * KiB)
    while not producer.paused:
        piece = bytes([len(sent) // 65_536 % 256]) * 64 * KiB
        made.server.direct.write(memoryview(piece))
        sent += piece
        assert len(sent) < 64 * MiB, "it is never paused"
    return producer, sent


@BOTH
def test_client_that_does_not_read_has_no_more_queued_than_over_plain_tcp(line: Make, version: str) -> None:
    """64 KiB, and what was written last, which encryption makes 0.2 % larger."""
    made = line(version)
    producer, sent = stuck(made)
    queued = made.server.direct.queued_bytes
    assert 64 * KiB < queued < (64 + 64) * KiB * 1.003
    assert made.server.direct.delivery.unacknowledged_bytes >= queued
    assert made.receive(len(sent)) == sent
    assert not producer.paused
    assert made.server.direct.queued_bytes == 0
    made.server.direct.write(b"and on")
    assert made.receive(6) == b"and on"
    made.server.direct.unregisterProducer()


@BOTH
def test_paused_is_not_read(line: Make, version: str) -> None:
    """Until it is resumed."""
    made = line(version)
    made.server.direct.pauseProducing()
    made.send(b"later")
    for _ in range(5):
        made.reactor.turn()
    assert made.server.received == b""
    made.server.direct.resumeProducing()
    made.until(lambda: made.server.received == b"later")


def test_write_that_has_to_wait_for_a_read_pauses_the_producer(
    line: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL has no reason for that while renegotiation is refused; if it had one, nothing would be lost."""
    made = line()
    producer = Producer()
    made.server.direct.registerProducer(producer, True)
    with monkeypatch.context() as patch:
        patch.setattr(Records, "seal_record", lambda *_: memoryview(b""))
        patch.setattr(Records, "seal", lambda _self, _data, start, end: (start, end))
        patch.setattr(SSL.Connection, "send", lambda *_: (_ for _ in ()).throw(SSL.WantReadError()))
        made.server.direct.write(b"first, ")
        made.server.direct.write(b"second, ")
    assert producer.paused
    made.server.direct.write(b"third")
    made.send(b"go on")
    assert made.receive(20) == b"first, second, third"
    assert not producer.paused
    made.server.direct.unregisterProducer()


# The end


@BOTH
def test_end_of_stream_follows_the_data(line: Make, version: str) -> None:
    """The peer's close_notify is answered with ours."""
    made = line(version)
    made.client.send(b"last words")
    made.client.shutdown()
    made.flush()
    assert made.ended() is ConnectionDone
    assert made.server.received == b"last words"
    made.drain()
    assert made.closed == "close_notify"


@BOTH
def test_end_without_close_notify_is_not_clean(line: Make, version: str) -> None:
    """Anybody on the way can send FIN."""
    made = line(version)
    made.send(b"last words")
    made.socket.shutdown(socket.SHUT_WR)
    assert made.ended() is ConnectionLost
    assert made.server.received == b"last words"


@BOTH
def test_reset_is_reported(line: Make, version: str) -> None:
    """As over plain TCP."""
    made = line(version)
    made.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    made.socket.close()
    assert made.ended() is ConnectionLost


@BOTH
def test_forged_record_ends_the_connection_with_its_reason(line: Make, version: str) -> None:
    """After what came before it; the peer gets an alert."""
    made = line(version)
    made.send(b"genuine")
    made.client.send(b"forged")
    forged = bytearray(made.client.bio_read(1 << 16))
    forged[-1] ^= 1
    made.put(bytes(forged))
    assert made.ended() is SSL.Error
    assert made.server.end is not None
    assert "bad record mac" in str(made.server.end.value)
    assert made.server.received == b"genuine"
    made.until(lambda: made.closed == "tls alert bad record mac")


@BOTH
def test_half_close_sends_close_notify_and_reads_on(line: Make, version: str) -> None:
    """After everything that is queued."""
    made = line(version)
    _, sent = stuck(made)
    made.server.direct.loseWriteConnection()
    made.server.direct.write(b"late")
    made.server.direct.unregisterProducer()
    made.drain()
    assert made.plain in (sent, sent + b"late")
    assert made.closed == "close_notify"
    made.send(b"still heard")
    made.until(lambda: made.server.received == b"still heard")
    assert made.server.end is None


@BOTH
def test_close_delivers_everything_and_waits_for_nobody(line: Make, version: str) -> None:
    """Twisted's own would wait for the peer's close_notify."""
    made = line(version)
    _, sent = stuck(made)
    made.server.direct.unregisterProducer()
    made.server.direct.loseConnection()
    made.drain()
    assert made.plain == sent
    assert made.closed == "close_notify"
    assert made.ended() is ConnectionDone


@BOTH
def test_abort_resets_at_once(line: Make, version: str) -> None:
    """What arrives after it is not received."""
    made = line(version)
    made.send(b"too late")
    made.server.direct.abortConnection()
    assert made.ended() is ConnectionAborted
    assert made.server.received == b""
    made.until(lambda: made.closed)
    assert made.closed in ("close_notify", "reset", "fin")


def test_error_of_the_receiver_ends_its_connection(line: Make) -> None:
    """As in the reactor; it is logged."""
    made = line()
    made.server.then = lambda: 1 // 0
    events: list[Any] = []
    observer = cast(ILogObserver, events.append)
    globalLogPublisher.addObserver(observer)
    try:
        made.send(b"x")
        assert made.ended() is ConnectionLost
    finally:
        globalLogPublisher.removeObserver(observer)
    assert any("could not process" in str(event.get("log_format")) for event in events)


@BOTH
def test_every_method_of_twisteds_transport_can_still_be_called(line: Make, version: str) -> None:
    """And of pyOpenSSL's connection: both stay in charge of everything rare."""
    made = line(version)
    made.server.direct.write(b"direct, ")
    made.send(b"direct, ")
    made.until(lambda: made.server.received == b"direct, ")
    tls, openssl = made.tls, made.tls.getHandle()
    assert isinstance(tls, BufferingTLSTransport)
    tls.write(b"by Twisted, ")
    tls.writeSequence([b"in ", b"pieces, "])
    made.reactor.turn()
    made.server.direct.write(b"and direct")
    expected = b"direct, by Twisted, in pieces, and direct"
    assert made.receive(len(expected)) == expected
    producer = Producer()
    tls.registerProducer(producer, True)
    tls.unregisterProducer()
    tls.pauseProducing()
    tls.resumeProducing()
    tls.setTcpNoDelay(True)
    assert tls.getTcpNoDelay()
    tls.setTcpKeepAlive(True)
    assert tls.getPeer() == made.connection.getPeer()
    assert tls.getHost() == made.connection.getHost()
    assert tls.getPeerCertificate() is not None
    assert tls.negotiatedProtocol == PROTOCOL
    tls.logPrefix()
    for method in ("get_context", "get_servername", "get_verify_mode", "pending", "renegotiate_pending",
                   "total_renegotiations", "get_cipher_list", "get_client_ca_list", "get_app_data",
                   "get_shutdown", "get_state_string", "server_random", "client_random", "master_key",
                   "get_certificate", "get_peer_certificate", "get_peer_cert_chain", "get_verified_chain",
                   "want_read", "want_write", "get_session", "get_finished", "get_peer_finished",
                   "get_cipher_name", "get_cipher_bits", "get_cipher_version", "get_protocol_version_name",
                   "get_protocol_version", "get_alpn_proto_negotiated", "get_group_name",
                   "get_selected_srtp_profile"):  # fmt: skip
        getattr(openssl, method)()
    assert openssl.get_servername() == b"gateway.example"
    for raises in (
        lambda: openssl.bio_read(10),
        lambda: openssl.recv(10),
        lambda: openssl.recv_into(bytearray(9)),
    ):
        with pytest.raises(SSL.WantReadError):
            raises()
    made.client.send(b"read by Twisted")
    tls.dataReceived(made.client.bio_read(1 << 16))
    assert made.server.received == b"direct, read by Twisted"
    tls.loseConnection()
    tls.abortConnection()
    tls.failVerification(Failure(ConnectionLost()))
    openssl.bio_shutdown()
    made.until(lambda: made.server.end is not None)
    tls.write(b"too late")
    made.server.direct.write(b"too late")
    tls.loseConnection()


# Hostile peers


@BOTH
def test_tiny_records_are_opened_in_turns(line: Make, version: str) -> None:
    """A bounded number of them in one turn, while the socket is not read; others go first."""
    made = line(version)
    data = bytes(range(256)) * 8
    made.send(data, record_bytes=1)
    made.until(lambda: len(made.server.received) == len(data))
    assert made.server.received == data
    assert max(made.server.turns) <= MOST_UNITS


@BOTH
def test_pause_holds_back_what_was_read_already(line: Make, version: str) -> None:
    """It comes when reading is resumed, and the end of the connection forgets it."""
    made = line(version)
    data = bytes(range(256)) * 8
    made.server.then = made.server.direct.pauseProducing
    made.send(data, record_bytes=1)
    made.until(lambda: made.server.received)
    seen = len(made.server.received)
    for _ in range(5):
        made.reactor.turn()
    assert len(made.server.received) == seen <= MOST_UNITS
    made.server.direct.resumeProducing()
    made.server.direct.resumeProducing()
    made.until(lambda: len(made.server.received) > seen)
    assert made.server.received == data[: len(made.server.received)]
    made.server.direct.resumeProducing()


def test_request_for_a_renegotiation_is_refused(line: Make) -> None:
    """The connection goes on; whether the peer does is its own choice."""
    made = line("1.2")
    made.client.renegotiate()
    with pytest.raises(SSL.WantReadError):
        made.client.do_handshake()
    made.until(lambda: made.closed == "no renegotiation")
    assert made.server.end is None


def test_peer_that_has_too_much_answered_is_cut_off(line: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals of renegotiation would be queued for it without end."""
    monkeypatch.setattr(module, "_ANSWERS", Rate(1, 0))
    made = line("1.2")
    made.client.renegotiate()
    with pytest.raises(SSL.WantReadError):
        made.client.do_handshake()
    made.flush()
    assert made.ended() is SSL.Error
    assert made.server.end is not None
    assert "too many renegotiations" in str(made.server.end.value)


def test_peer_that_asks_for_key_updates_for_ever_is_cut_off(line: Make) -> None:
    """Each turn sees a few of them; what is queued for it stays small."""
    peer = KeyUpdatingPeer()
    made = line(peer=peer)
    for _ in range(100):
        peer.update_key(asks=True)
    peer.send(b"that is all right")
    made.until(lambda: made.server.received)
    assert made.server.received == b"that is all right"
    for _ in range(2000):
        peer.update_key(asks=True)
    peer.send(b"that is not")
    made.put(peer.output())
    assert made.ended() is SSL.Error
    assert made.server.received == b"that is all right"
    assert made.server.direct.queued_bytes < 100_000
    peer.close()


# What falls back


def taken_over(transport: Any, readiness: Readiness) -> Any:
    """Return the transport of a tunnel's end."""
    return direct_transport(cast(IStreamTransport, transport), readiness, lambda _: None)


def test_proxy_header_in_front_of_tls_changes_nothing(line: Make) -> None:
    """It is over before the handshake begins."""
    made = line(proxy=True)
    assert isinstance(made.server.direct, DirectTLS)
    made.send(b"hello")
    made.until(lambda: made.server.received == b"hello")
    made.server.direct.write(b"hello to you")
    assert made.receive(12) == b"hello to you"
    assert made.tls.getPeer().host == "192.0.2.9"


def test_twisteds_tls_is_used_where_pyopenssl_lacks_something(
    line: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is slower, and carries the same bytes."""
    monkeypatch.setattr(tls_records, "UNAVAILABLE", "SSL_read")
    made = line()
    assert not isinstance(made.server.direct, DirectTLS)
    made.send(b"hello")
    made.until(lambda: made.server.received == b"hello")
    made.server.direct.write(b"hello to you")
    assert made.receive(12) == b"hello to you"


def test_twisteds_tls_is_used_until_the_handshake_is_done(line: Make) -> None:
    """And above anything that is no socket, or with a reactor that watches none."""
    readiness = Readiness(TurnedReactor())
    factory = TLSMemoryBIOFactory(Creator(server_context()), False, Factory.forProtocol(Protocol), Clock())
    tls: Any = factory.buildProtocol(None)
    tls.makeConnection(FakeTransport())
    assert not isinstance(taken_over(tls, readiness), DirectTLS)
    tls._handshakeDone = True
    assert not isinstance(taken_over(tls, readiness), DirectTLS)
    made = line()
    assert module.direct_tls(made.tls, Readiness(object()), lambda _: None) is None

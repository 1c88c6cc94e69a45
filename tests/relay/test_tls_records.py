"""Records are sealed and opened in shared buffers, and the connection stays pyOpenSSL's."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL, _util

from portofcall.limits.values import KiB, MiB
from portofcall.relay import tls_records
from portofcall.relay.tls_records import FUNCTIONS, MOST_SEALED_BYTES, MOST_UNITS, Records, missing
from tests.relay.tls_peers import connected, output, plain_text, with_key_updating_peer

EITHER = st.sampled_from(["1.2", "1.3"])
BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])


def sealed_by(records: Records, data: bytes) -> bytes:
    """Return what is sent for ``data``."""
    sent, start = b"", 0
    while start < len(data):
        start, end = records.seal(data, start, 0)
        assert 0 < end <= MOST_SEALED_BYTES + 48 * KiB
        sent += records.sealed(end)
    return sent


def what_came(records: Records, sealed: bytes) -> tuple[bytes, SSL.Error | None, int, bool]:
    """Return what one call makes of ``sealed``."""
    plain, problem, left, other = records.open(memoryview(sealed))
    return bytes(plain), problem, left, other


def opened_by(records: Records, sealed: bytes) -> bytes:
    """Return the plain text of ``sealed``, however many turns that takes."""
    plain = b""
    while sealed:
        opened, problem, left, _ = records.open(memoryview(sealed[:MOST_SEALED_BYTES]))
        assert problem is None
        plain += opened
        sealed = sealed[min(len(sealed), MOST_SEALED_BYTES) - left :]
    return plain


@BOTH
@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_peer_reads_what_was_sealed(version: str, kind: str) -> None:
    """In as few records as possible: 16 KiB of plain text each."""
    server, client = connected(version, kind)
    data = bytes(range(256)) * 4 * KiB
    sent = sealed_by(Records(server), data)
    assert plain_text(client, sent) == data
    assert len(data) < len(sent) < len(data) + 64 * 30


@BOTH
def test_nothing_is_sent_for_nothing(version: str) -> None:
    """Least of all what the shared buffer held for others."""
    server, _ = connected(version, "ECDSA")
    records = Records(server)
    assert sealed_by(records, b"for others")
    assert bytes(records.seal_record(b"")) == b""


@settings(max_examples=40, deadline=None)
@given(
    version=EITHER,
    sizes=st.lists(st.integers(1, 40_000), max_size=8),
    own=st.lists(st.booleans(), max_size=8),
)
def test_sealing_and_pyopenssl_can_take_turns(version: str, sizes: list[int], own: list[bool]) -> None:
    """Whatever is sent by either of them arrives in order."""
    server, client = connected(version)
    records, sent, data = Records(server), b"", b""
    for number, size in enumerate(sizes):
        piece = bytes([number]) * size
        data += piece
        if number < len(own) and own[number]:
            start = 0
            while start < size:
                start += server.send(piece[start:])
            sent += output(server)
        else:
            sent += sealed_by(records, piece)
    assert plain_text(client, sent) == data


@settings(max_examples=40, deadline=None)
@given(
    version=EITHER,
    sizes=st.lists(st.integers(1, 40_000), max_size=8),
    cuts=st.lists(st.integers(1, 70_000), max_size=12),
    own=st.lists(st.booleans(), max_size=12),
)
def test_the_same_is_opened_under_any_chunking(
    version: str, sizes: list[int], cuts: list[int], own: list[bool]
) -> None:
    """Also if pyOpenSSL reads some of it."""
    server, client = connected(version)
    records, data = Records(server), b""
    for number, size in enumerate(sizes):
        piece = bytes([number]) * size
        data += piece
        while piece:
            piece = piece[client.send(piece) :]
    sent, plain = output(client), b""
    for number, cut in enumerate([*cuts, len(sent)]):
        chunk, sent = sent[:cut], sent[cut:]
        if chunk and number < len(own) and own[number]:
            records.release()
            plain += plain_text(server, chunk)
        elif chunk:
            plain += opened_by(records, chunk)
    assert plain == data


def test_several_records_are_opened_into_one_piece() -> None:
    """As many as were read."""
    server, client = connected()
    data = bytes(range(256)) * 512
    view = memoryview(data)
    while view:
        view = view[client.send(view) :]
    assert what_came(Records(server), output(client)) == (data, None, 0, False)


@BOTH
def test_one_turn_opens_so_many_records(version: str) -> None:
    """The rest is left for later turns, in order."""
    server, client = connected(version)
    data = bytes(range(256)) * 4
    for octet in data:
        client.send(bytes([octet]))
    sent = output(client)
    records = Records(server)
    plain, _, left, _ = records.open(memoryview(sent))
    assert plain == data[:MOST_UNITS]
    assert data[:MOST_UNITS] + opened_by(records, sent[-left:]) == data


@BOTH
def test_end_of_stream_comes_after_the_data(version: str) -> None:
    """As the error that `SSL.Connection.recv` raises."""
    server, client = connected(version)
    client.send(b"last words")
    client.shutdown()
    plain, problem, _, _ = Records(server).open(memoryview(output(client)))
    assert bytes(plain) == b"last words"
    assert isinstance(problem, SSL.ZeroReturnError)


@BOTH
@pytest.mark.parametrize("size", [100, 10_000])
def test_forged_record_is_an_error_with_its_reason(version: str, size: int) -> None:
    """What came before it is passed on."""
    server, client = connected(version)
    client.send(b"genuine")
    sent = output(client)
    client.send(bytes(size))
    forged = bytearray(output(client))
    forged[-1] ^= 1
    plain, problem, _, _ = Records(server).open(memoryview(sent + forged))
    assert bytes(plain) == b"genuine"
    assert problem is not None
    assert any("bad record mac" in reason for _, _, reason in problem.args[0])


@BOTH
def test_error_of_another_connection_is_not_taken_for_ours(version: str) -> None:
    """OpenSSL has one queue of errors for all."""
    server, client = connected(version)
    _util.lib.ERR_put_error(20, 0, 1, b"elsewhere", 1)
    client.send(b"hello")
    assert what_came(Records(server), output(client)) == (b"hello", None, 0, False)
    _util.lib.ERR_put_error(20, 0, 1, b"elsewhere", 1)
    assert plain_text(client, sealed_by(Records(server), b"hello to you")) == b"hello to you"
    _util.lib.ERR_put_error(20, 0, 1, b"elsewhere", 1)
    sealed = bytes(Records(server).seal_record(b"a small one"))
    assert plain_text(client, sealed) == b"a small one"
    assert what_came(Records(server), b"\x17\x03\x03\x00\x00"[:3]) == (b"", None, 0, True)


def test_renegotiation_is_refused() -> None:
    """Whatever the context allows; it is the one thing that writing could have to wait for."""
    server, client = connected("1.2")
    records = Records(server)
    client.renegotiate()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    assert what_came(records, output(client)) == (b"", None, 0, True)
    assert records.has_output
    client.bio_write(output(server))
    with pytest.raises(SSL.Error, match="no renegotiation"):
        client.do_handshake()


def test_key_updates_cost_their_part_of_a_turn() -> None:
    """What follows them is readable, and a peer that asks for one gets it before the next data."""
    server, client = with_key_updating_peer()
    records = Records(server)
    for _ in range(200):
        client.update_key(asks=False)
    client.update_key(asks=True)
    client.send(b"with the new key")
    sent = client.output()
    plain, problem, left, other = what_came(records, sent)
    assert (plain, problem, other) == (b"", None, True)
    assert left > len(sent) // 2
    assert opened_by(records, sent[-left:]) == b"with the new key"
    before = len(output(server))
    client.take(sealed_by(records, b"to you, too"))
    assert client.receive() == b"to you, too"
    assert before < 100
    client.close()


def test_sealing_that_fails_seals_nothing() -> None:
    """After close_notify; pyOpenSSL says why."""
    server, client = connected()
    records = Records(server)
    server.shutdown()
    output(server)
    assert records.seal(b"too late", 0, 0) == (0, 0)
    with pytest.raises(SSL.Error):
        server.send(b"too late")
    del client


def test_memory_of_a_connection_does_not_grow_with_what_it_carried() -> None:
    """Its BIOs hold at most one record."""
    server, client = connected()
    records = Records(server)
    plain_text(client, sealed_by(records, bytes(4 * MiB)))
    for _ in range(4):
        data = memoryview(bytes(200 * KiB))
        while data:
            data = data[client.send(data) :]
        opened_by(records, output(client))
    assert server._from_ssl is records._out
    assert not records.has_output


def test_openssl_without_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a crash."""
    server, client = connected()
    client.send(bytes(10_000))
    null = SimpleNamespace(**{name: getattr(_util.lib, name) for name in FUNCTIONS})
    null.SSL_MODE_AUTO_RETRY = _util.lib.SSL_MODE_AUTO_RETRY
    null.BIO_new_mem_buf = lambda *_: _util.ffi.NULL
    records = Records(server)
    monkeypatch.setattr(tls_records, "_lib", null)
    with pytest.raises(MemoryError):
        records.open(memoryview(output(client)))


def test_what_is_missing_is_named() -> None:
    """Then Twisted's TLS is used."""
    lib: Any = SimpleNamespace(**dict.fromkeys(FUNCTIONS[1:]))

    class Another:
        def send(self) -> object:
            return self._ssl  # type: ignore[attr-defined]

    assert missing(lib, Another) == (
        f"{FUNCTIONS[0]}, Connection._into_ssl, Connection._from_ssl, Connection._raise_ssl_error"
    )
    assert missing(_util.lib, SSL.Connection) == "" == tls_records.UNAVAILABLE

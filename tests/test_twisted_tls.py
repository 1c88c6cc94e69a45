"""The server's side of TLS answers at once, and asks nothing of OpenSSL that is no longer of use."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol

from portofcall.twisted_tls import TLSServerConnection, unchanged_below
from tests.relay.tls_line import Line

BOTH = pytest.mark.parametrize("version", ["1.2", "1.3"])


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    """Closes the connections that a test adds."""
    made: list[Line] = []
    yield made
    for each in made:
        each.close()


@BOTH
@pytest.mark.parametrize("proxy", [False, True])
def test_handshake_waits_for_no_turn_of_the_reactor(lines: list[Line], version: str, proxy: bool) -> None:
    """What the server has to say is sent in the turn that has read what it answers."""
    lines.append(Line(version, proxy=proxy))
    assert lines[0].reactor.waits == 0


@BOTH
@pytest.mark.parametrize("sent", [0, 100, ConnectionLost()])
def test_what_the_socket_does_not_take_follows(
    lines: list[Line], version: str, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order; a transport that has met an error meets it again when it sends the rest."""
    write_some = Connection.writeSomeData
    refused: list[bytes] = []

    def refuse_once(connection: Connection, data: bytes) -> Any:
        if refused:
            return write_some(connection, data)
        refused.append(data)
        return write_some(connection, data[:sent]) if isinstance(sent, int) and sent else sent

    monkeypatch.setattr(Connection, "writeSomeData", refuse_once)
    lines.append(Line(version))
    assert refused
    assert lines[0].reactor.waits == 1
    lines[0].server.direct.write(b"hello to you")
    assert lines[0].receive(12) == b"hello to you"


@BOTH
def test_connection_that_the_server_has_ended_is_done(lines: list[Line], version: str) -> None:
    """However its client ends: nothing of that is of use any more."""
    lines.append(Line(version))
    lines[0].server.direct.loseConnection()
    lines[0].drain()
    lines[0].socket.close()
    assert lines[0].ended() is ConnectionDone


def test_socket_is_written_to_only_where_nothing_changes_what_is_written() -> None:
    """Another layer of TLS does, or a wrapper with a method of its own."""

    class Shouting(ProtocolWrapper):
        def write(self, data: bytes) -> None:
            super().write(data.upper())

    def above(kind: type[ProtocolWrapper], below: object) -> Any:
        wrapper: Any = object.__new__(kind)
        wrapper.transport = below
        return wrapper

    connection: Any = object.__new__(Connection)
    for secured, found in ((False, connection), (True, None)):
        connection.TLS = secured
        assert unchanged_below(connection) is found
    connection.TLS = False
    assert unchanged_below(above(ProtocolWrapper, connection)) is connection
    assert unchanged_below(above(Shouting, connection)) is None
    assert unchanged_below(above(TLSMemoryBIOProtocol, connection)) is None
    assert unchanged_below(above(TLSServerConnection, connection)) is None
    assert unchanged_below(object()) is None

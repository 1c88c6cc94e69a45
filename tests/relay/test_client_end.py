"""The real client's end keeps what a tunnel relies on, in a gateway in memory."""

from typing import Any

import pytest

from portofcall.limits.values import KiB, Limits
from portofcall.testing import WebSocketClient, World, pack_frame


def end_of(client: WebSocketClient) -> Any:
    """Return the gateway's end of a client's connection."""
    return client.transport.protocol


def test_bytes_in_the_clients_transport_count_towards_the_high_water_mark() -> None:
    """The backend is paused once the mark is exceeded by what waits in the chain and in the transport."""
    client = WebSocketClient(World(limits=Limits(high_water_bytes=256 * KiB)))
    backend = client.backend.protocol
    backend.dataReceived(bytes(70 * KiB))
    assert client.transport.producer_paused
    end_of(client).transport.queued_bytes = 70 * KiB
    backend.dataReceived(bytes(186 * KiB))
    assert not client.backend.paused, "exactly the mark waits"
    backend.dataReceived(b"1")
    assert client.backend.paused


def test_dropped_client_closes_although_a_producer_is_registered() -> None:
    """A transport with a streaming producer would wait for it for ever."""
    client = WebSocketClient(World())
    assert client.transport.producer is not None
    end_of(client).drop()
    assert client.transport.producer is None
    assert client.transport.log[-1] == "close"


def test_finished_client_gets_fin_although_a_producer_is_registered() -> None:
    """For the same reason."""
    client = WebSocketClient(World())
    end_of(client).finish()
    assert client.transport.producer is None
    assert client.transport.log[-1] == "fin"


@pytest.mark.parametrize(
    "broken",
    [
        pack_frame(2, b"unmasked", masked=False),
        pack_frame(3, b"reserved opcode"),
        pack_frame(0, b"nothing to continue"),
        pack_frame(1, b"\xff\xfe"),
        pack_frame(2, b"part", fin=False) + pack_frame(2, b"another message"),
    ],
    ids=["unmasked", "reserved opcode", "lone continuation", "not UTF-8", "interleaved messages"],
)
def test_nothing_is_passed_on_after_a_protocol_failure(broken: bytes) -> None:
    """What follows a broken frame, in the same read or later, is not even reported to the tunnel."""
    client = WebSocketClient(World())
    events: list[str] = []
    end = end_of(client)
    tunnel = end.events

    class Spy:
        def client_sent(self, data: object) -> None:
            events.append("sent")

        def client_closed(self) -> None:
            events.append("closed")

        def client_failed(self, what: str) -> None:
            events.append("failed")
            tunnel.client_failed(what)

    end.events = Spy()
    end._client_sent = end.events.client_sent
    client.send(broken + pack_frame(2, b"after the fact"))
    client.send(pack_frame(2, b"later") + pack_frame(2, b"fragment", fin=False) + pack_frame(8))
    assert events[-1] == "failed"
    assert events.count("failed") == 1

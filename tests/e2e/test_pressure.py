"""Peers that do not read cost the gateway little memory at any time, and cost other tunnels nothing."""

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.backends import (
    BLOCK,
    GiB,
    MiB,
    backend,
    digest,
    echo,
    send_and_close,
    send_until_lost,
    wait_and_receive,
)
from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process
from tests.e2e.support import receive_all, send_all, until, until_still
from tests.e2e.wsclient import BINARY, CLOSE, DEADLINE, PING, PONG, Close, WebSocketClient, pack

Record = Callable[[str, object], None]


class Memory:
    """How much a gateway's resident memory grows from now on, at its peak.

    Args:
        gateway: its memory's high-water mark is reset (proc(5), ``clear_refs``).
    """

    def __init__(self, gateway: GatewayProcess) -> None:
        self._proc = Path(f"/proc/{gateway.process.pid}")
        (self._proc / "clear_refs").write_text("5")
        self.before_kib = gateway.rss_kib()

    def peak_growth_kib(self) -> int:
        """Tell the growth up to the highest that it ever had, in KiB."""
        match = re.search(r"VmHWM:\s+(\d+) kB", (self._proc / "status").read_text())
        assert match is not None
        return int(match[1]) - self.before_kib


def warm_up(gateway: GatewayProcess) -> None:
    """Run a tunnel, so that what is imported and allocated once is not counted."""
    with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send(b"warm")
        assert client.read(4) == b"warm"
        client.close()
        assert client.receive().opcode == CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("stuck", ["client", "backend"])
def test_memory_stays_low_while_a_stuck_peer_reads_on(
    tmp_path: Path, stuck: str, record_property: Record
) -> None:
    """The peak over the whole transfer of 1 GiB, the stall and what comes after it, is below 4 MiB."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        warm_up(gateway)
        memory = Memory(gateway)
        serve = send_and_close(GiB) if stuck == "client" else wait_and_receive
        with backend(serve) as server, WebSocketClient(gateway.port, server.query) as client:
            if stuck == "client":
                assert until_still(lambda: server.sent) < 64 * MiB
                assert receive_all(client) == (GiB, digest(GiB))
            else:
                sender = threading.Thread(target=send_all, args=(client, GiB))
                sender.start()
                assert until_still(lambda: client.sent) < 64 * MiB
                server.go.set()
                sender.join(DEADLINE)
                assert server.wait_for_end() == "eof"
        peak = memory.peak_growth_kib()
        record_property(f"stuck_{stuck}_peak_growth_kib", peak)
        print(f"stuck {stuck}: RSS {memory.before_kib} KiB, peak growth over all of it {peak} KiB")
        assert peak < 4 * 1024
        if stuck == "backend":
            assert (server.received, server.sha.hexdigest()) == (GiB, digest(GiB))


@pytest.mark.slow
def test_echo_of_a_client_that_stops_reading(tmp_path: Path, record_property: Record) -> None:
    """Both directions are stuck at once, little memory is used, and 256 MiB come back when it reads on."""
    size = 256 * MiB
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        warm_up(gateway)
        memory = Memory(gateway)
        with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
            sender = threading.Thread(target=client.send_raw, args=(pack(BINARY, BLOCK) * (size // MiB),))
            sender.start()
            assert until_still(lambda: client.sent) < 64 * MiB
            assert sender.is_alive(), "the client's send blocks"
            sha, total = hashlib.sha256(), size // MiB * len(BLOCK)
            received = 0
            while received < total:
                payload = client.receive().payload
                sha.update(payload)
                received += len(payload)
            sender.join(DEADLINE)
            client.close()
            assert client.receive().opcode == CLOSE
        peak = memory.peak_growth_kib()
        record_property("stuck_echo_peak_growth_kib", peak)
        print(f"stuck echo: peak growth {peak} KiB")
        assert (received, sha.hexdigest()) == (total, digest(total))
        assert peak < 6 * 1024


@pytest.mark.slow
def test_pings_of_a_stuck_client_are_answered_when_it_reads_on(gateway: GatewayProcess) -> None:
    """The latest 32 of them, in order, amid all the bytes that waited."""
    size, pings = 64 * MiB, 500
    with backend(send_and_close(size)) as server:
        with WebSocketClient(gateway.port, server.query, receive_buffer=32 * 1024) as client:
            until_still(lambda: server.sent)
            client.send_raw(b"".join(pack(PING, b"%d" % number) for number in range(pings)))
            until_still(gateway.processor_time)
            received, pongs = 0, list[int]()
            while received < size or len(pongs) < 32:
                frame = client.receive()
                if frame.opcode == PONG:
                    pongs.append(int(frame.payload))
                else:
                    assert frame.opcode == BINARY, "the Close frame came before the pongs"
                    received += len(frame.payload)
            assert (received, pongs) == (size, list(range(pings - 32, pings)))
            assert client.expect_close().code == 1000


@pytest.mark.slow
def test_flood_of_pings_is_cut_off(tmp_path: Path, record_property: Record) -> None:
    """A client that sends 32 MiB of pings and reads nothing costs no memory, and is told 1008."""
    ping = pack(PING, bytes(125))
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        warm_up(gateway)
        memory = Memory(gateway)
        with backend(send_until_lost) as server:
            with WebSocketClient(gateway.port, server.query, receive_buffer=32 * 1024) as client:
                until_still(lambda: server.sent)
                batch = ping * (MiB // len(ping))
                for _ in range(32):
                    client.send_raw(batch)
                peak = memory.peak_growth_kib()
                record_property("ping_flood_peak_growth_kib", peak)
                print(f"ping flood: peak growth {peak} KiB")
                assert peak < 4 * 1024
                while (frame := client.receive()).opcode in (BINARY, PONG):
                    pass
                assert Close.parse(frame.payload).code == 1008


@pytest.mark.slow
@pytest.mark.parametrize("high_water_kib", [64, 1024])
def test_stuck_tunnels_cost_what_the_documentation_says(
    tmp_path: Path, record_property: Record, high_water_kib: int
) -> None:
    """``--high-water`` and 64 KiB each, or 384 KiB if that is more, and they hold nobody up."""
    tunnels = 40
    with gateway_process(tmp_path, *LOOPBACK, "--high-water", f"{high_water_kib}K") as gateway:
        warm_up(gateway)
        memory = Memory(gateway)
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(backend(send_until_lost)) for _ in range(tunnels)]
            for server in servers:
                stack.enter_context(WebSocketClient(gateway.port, server.query))
            until(lambda: all(server.sent for server in servers))
            until_still(lambda: sum(server.sent for server in servers))
            each = memory.peak_growth_kib() / tunnels
            record_property("stuck_tunnel_kib", round(each))
            print(f"{tunnels} stuck tunnels: {each:.0f} KiB each at --high-water {high_water_kib}K")
            assert each < max(high_water_kib + 64, 384) + 100
            with backend(send_and_close(64 * MiB)) as fast:
                with WebSocketClient(gateway.port, fast.query) as client:
                    assert receive_all(client) == (64 * MiB, digest(64 * MiB))

"""A gateway that is told to end: what was under way is accounted for, however it is told."""

import asyncio
import os
import pty
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.backends import backend, echo
from tests.e2e.gateway import LOOPBACK, TWISTD, GatewayProcess, gateway_process
from tests.e2e.many_tunnels import Kind, ManyTunnels, Transfer
from tests.e2e.support import ask, logged
from tests.e2e.wsclient import DEADLINE, WebSocketClient

pytestmark = pytest.mark.slow

UNLIMITED = ("--max-per-client-target=0", "--max-per-target=0", "--rate-per-client=0", "--rate-per-target=0")


async def drain(gateway: GatewayProcess, transfers: list[Transfer]) -> None:
    """Carry all transfers through a gateway, and send it SIGTERM when each of them is in the middle."""
    async with ManyTunnels(transfers) as tunnels:
        carried = [asyncio.create_task(tunnels.carry(transfer, gateway.port)) for transfer in transfers]
        for transfer in transfers:
            await asyncio.wait_for(transfer.moving.wait(), DEADLINE)
        gateway.process.terminate()
        await asyncio.to_thread(gateway.wait_for_log, "stopping; until listeners close: 0 s, ")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", gateway.port)
        tunnels.go.set()
        await asyncio.wait_for(asyncio.gather(*carried), 2 * DEADLINE)


def test_drain_under_load_accounts_for_every_byte(tmp_path: Path) -> None:
    """200 tunnels, mid-transfer: half of them end within the drain, the others are closed after it."""
    kinds = [Kind.DOWNLOAD] * 100 + [Kind.ENDLESS] * 50 + [Kind.UPLOAD] * 50
    transfers = [Transfer(number, kind) for number, kind in enumerate(kinds)]
    with gateway_process(tmp_path, *LOOPBACK, *UNLIMITED, "--drain", "5") as gateway:
        asyncio.run(drain(gateway, transfers))
        assert gateway.process.wait(DEADLINE) == -signal.SIGTERM
        seconds, said = gateway.wait_for_log(r"stopped after ([\d.]+) s; (.*)").groups()
    for transfer in transfers:
        assert transfer.is_prefix
        assert transfer.close_code == (1000 if transfer.kind is Kind.DOWNLOAD else 1001)
        # An endless sender goes on until the gateway ends; what it sent after that nobody took.
        if transfer.kind is not Kind.ENDLESS:
            assert len(transfer.received) == transfer.sent
        assert len(transfer.received) > 0
    assert 5 <= float(seconds) < 15
    assert said == (
        "tunnels in flight: 200, ended by themselves: 100, reset: 0, incomplete: 0 (0 bytes undelivered); "
        "requests dropped: 0"
    )


def test_load_balancers_have_time_to_notice(tmp_path: Path) -> None:
    """During the delay the gateway is not ready and admits clients all the same; then nobody can connect."""
    with gateway_process(tmp_path, *LOOPBACK, "--drain-delay=2", "--drain=60") as gateway:
        assert ask(gateway, "GET", "/readyz")[0] == 200
        with backend(echo) as first, WebSocketClient(gateway.port, first.query) as client:
            gateway.process.terminate()
            gateway.wait_for_log("stopping; until listeners close: 2 s, then for tunnels: 60 s, open now: 1")
            assert ask(gateway, "GET", "/readyz")[0] == 503
            with backend(echo) as second, WebSocketClient(gateway.port, second.query) as late:
                gateway.wait_for_log(r"\(TCP Port \d+ Closed\)")
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", gateway.port), DEADLINE)
                for carried in (client, late):
                    carried.send(b"still here")
                    assert carried.read(10) == b"still here"
                    carried.close()
                    assert carried.expect_close().code == 1000
        assert gateway.process.wait(DEADLINE) == -signal.SIGTERM
        assert "tunnels in flight: 2, ended by themselves: 2, reset: 0, incomplete: 0" in gateway.log


@pytest.mark.parametrize("options", [("--drain-delay=60",), ("--drain=60",)], ids=["delay", "drain"])
def test_second_signal_ends_the_waiting_as_well(tmp_path: Path, options: tuple[str, ...]) -> None:
    """At once, with every tunnel reset."""
    with gateway_process(tmp_path, *LOOPBACK, *options) as gateway:
        with backend(echo_until_lost) as server, WebSocketClient(gateway.port, server.query) as client:
            client.send(b"x")
            assert client.receive().payload == b"x"
            gateway.process.terminate()
            gateway.wait_for_log("stopping; ")
            began = time.monotonic()
            gateway.process.terminate()
            assert gateway.process.wait(DEADLINE) == -signal.SIGTERM
            assert time.monotonic() - began < 3
            with pytest.raises(ConnectionResetError):
                client.receive()
        assert "tunnels in flight: 1, ended by themselves: 0, reset: 1" in gateway.log


def echo_until_lost(server: object) -> None:
    """Echo, whatever the end is."""
    with suppress(ConnectionError):
        echo(server)  # type: ignore[arg-type]


@contextmanager
def in_terminal(folder: Path, *options: str) -> Iterator[tuple[int, int]]:
    """Run ``twistd -n`` in a terminal of its own, with its log in ``folder``; give its PID and the master."""
    command = [str(TWISTD), "-n", "--pidfile=", f"--logfile={folder / 'log'}", "portofcall", *options]
    pid, master = pty.fork()
    if not pid:
        os.execv(command[0], command)
    try:
        yield pid, master
    finally:
        with suppress(OSError):
            os.close(master)
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_gateway_ends_with_its_terminal(tmp_path: Path) -> None:
    """SIGHUP reloads while the window is open, and stops when it has been closed: no process stays."""
    log = tmp_path / "log"
    with in_terminal(tmp_path, "--listen=tcp:0:interface=127.0.0.1", *LOOPBACK) as (pid, master):
        port = int(logged(log, r"listening on http://127\.0\.0\.1:(\d+)")[1])
        logged(log, "started: ")
        os.kill(pid, signal.SIGHUP)
        logged(log, "nothing to reload")
        with backend(echo) as server, WebSocketClient(port, server.query) as client:
            client.send(b"x")
            assert client.receive().payload == b"x"
            os.close(master)
            assert client.expect_close().code == 1001
        ended = threading.Thread(target=os.waitpid, args=(pid, 0))
        ended.start()
        ended.join(DEADLINE)
        assert not ended.is_alive()
    logged(log, "the terminal is gone: stopping")
    logged(log, "tunnels in flight: 1, ended by themselves: 0, reset: 0, incomplete: 0")
    assert "Traceback" not in log.read_text()

"""The admin listener of a running gateway: metrics, tunnels, and the files of docs/deploy that use them."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from portofcall.admin.counts import EventCounts
from portofcall.commands.admin_api import _UNIXConnection
from tests.certificates import Authority
from tests.e2e.backends import MiB, backend, closed_port, echo, send_until_lost, wait_and_receive
from tests.e2e.gateway import GatewayProcess, gateway_process, need
from tests.e2e.support import until
from tests.e2e.wsclient import BINARY, DEADLINE, UpgradeRefusedError, WebSocketClient, pack
from tests.support import basic, need_prometheus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LOGIN = f"Authorization: {basic('ada', 'lovelace')[0].decode()}"
#: Those that are 0 in a gateway where all is well.
ZERO = {"portofcall_draining"}


class Admin:
    """The admin listener of a gateway, on a UNIX socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, target: str) -> str:
        """Return the body of a response."""
        with closing(_UNIXConnection(str(self.path), timeout=DEADLINE)) as connection:
            connection.request("GET", target)
            response: http.client.HTTPResponse = connection.getresponse()
            assert response.status == 200
            return response.read().decode()

    def scrape(self) -> dict[str, float]:
        """Return each sample by its name and labels."""
        lines = [line for line in self.get("/metrics").splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def run(self, *arguments: str) -> str:
        """Run a command of ``portofcall``; return what it prints."""
        program = Path(sys.executable).with_name("portofcall")
        command = [str(program), arguments[0], "--admin", f"unix:{self.path}", *arguments[1:]]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True).stdout


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[GatewayProcess, Admin]]:
    """A gateway with passwords, TLS, files, and one connection for each target; its drain lasts."""
    need_prometheus()
    web = tmp_path / "web"
    web.mkdir()
    (web / "large").write_bytes(bytes(16 * MiB))
    chain, key = Authority().issue("localhost").write(tmp_path)
    path = tmp_path / "admin"
    with gateway_process(
        tmp_path,
        *("--listen", "tcp:0:interface=127.0.0.1", "--listen", "tls+tcp:0:interface=127.0.0.1"),
        *(f"--tls-cert={chain}", f"--tls-key={key}", "--allow=127.0.0.1", "--allow=localhost=127.0.0.0/8"),
        *("--auth=memory:ada:lovelace", "--max-per-target=1", f"--admin=unix:{path}", "--drain=60"),
        f"--web={web}",
    ) as gateway:
        yield gateway, Admin(path)


def connect(gateway: GatewayProcess, query: str, *headers: str) -> WebSocketClient:
    """Open a tunnel as ada."""
    return WebSocketClient(gateway.port, query, headers=(LOGIN, *headers))


def fail(gateway: GatewayProcess) -> None:
    """Do what fails: a refused target, a busy one, a request without a password, one with a wrong one."""
    with connect(gateway, f"host=127.0.0.1&port={closed_port()}") as client:
        assert client.expect_close().code == 4502
    for headers in ((), (f"Authorization: {basic('ada', 'wrong')[0].decode()}",)):
        with pytest.raises(UpgradeRefusedError):
            WebSocketClient(gateway.port, "host=a&port=1", headers=headers)


def download(gateway: GatewayProcess) -> socket.socket:
    """Get a large file; then ask for it again, and read nothing of it."""
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)) as connection:
        connection.request("GET", "/large")
        assert len(connection.getresponse().read()) == 16 * MiB
    idle = socket.create_connection(("127.0.0.1", gateway.port), DEADLINE)
    idle.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return idle


def ping(gateway: GatewayProcess, port: int) -> None:
    """Ping a port through the API."""
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)) as connection:
        body = json.dumps({"host": "127.0.0.1", "port": port})
        name, _, value = LOGIN.partition(": ")
        connection.request("POST", "/api/ping", body, {name: value})
        assert connection.getresponse().status == 200


def sums(samples: dict[str, float]) -> dict[str, float]:
    """Add up the samples of each name, whatever their labels."""
    found: dict[str, float] = {}
    for name, value in samples.items():
        found[name.partition("{")[0]] = found.get(name.partition("{")[0], 0) + abs(value)
    return found


def test_every_metric_counts(running: tuple[GatewayProcess, Admin]) -> None:
    """When everything has happened that is counted, none is 0 but what says that the gateway drains.

    Bytes are right to the last one, and the names in docs/deploy and docs/monitoring.md are among these.
    """
    gateway, admin = running
    with ExitStack() as stack:
        with backend(echo) as server, connect(gateway, f"host=localhost&port={server.port}") as client:
            client.send(b"x" * 1000)
            assert client.read(1000) == b"x" * 1000
            client.close()
            assert client.expect_close().code == 1000
        fail(gateway)
        before = admin.scrape()
        assert before['portofcall_tunnel_bytes_total{direction="up"}'] == 1000
        assert before['portofcall_tunnel_bytes_total{direction="down"}'] == 1000
        assert before['portofcall_tunnels_total{result="refused"}'] == 1
        assert before['portofcall_auth_failures_total{kind="password"}'] == 1
        flood = stack.enter_context(backend(send_until_lost))
        reader = stack.enter_context(connect(gateway, flood.query))
        with connect(gateway, flood.query) as busy:
            assert busy.expect_close().code == 4429
        sink = stack.enter_context(backend(wait_and_receive, receive_buffer=64 * 1024))
        writer = stack.enter_context(connect(gateway, sink.query))
        writer.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                writer.send_raw(pack(BINARY, bytes(MiB)))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ping(gateway, listener.getsockname()[1])
        stack.enter_context(download(gateway))
        pauses = [f'portofcall_flow_control_pauses_total{{direction="{way}"}}' for way in ("up", "down")]
        last = [*pauses, "portofcall_event_loop_lag_seconds_count", "portofcall_active_downloads"]
        until(lambda: all(map(admin.scrape().get, last)))
        found = sums(admin.scrape())
        assert {name for name, value in found.items() if not value} == ZERO
        for file in ("docs/deploy/prometheus-alerts.yml", "docs/deploy/grafana-dashboard.json"):
            used = set(re.findall(r"\b(?:portofcall|process)_[a-z_]+\b", (ROOT / file).read_text()))
            assert used
            assert used <= set(found), file
        documented = set(re.findall(r"`(portofcall_\w+)", (ROOT / "docs/monitoring.md").read_text()))
        shown = {re.sub("_(bucket|sum|count)$", "", name) for name in found if name.startswith("portofcall_")}
        assert documented == shown
        reader.vanish(reset=True)
        writer.vanish(reset=True)


def test_labels_in_the_alerts_exist() -> None:
    """A slug that was renamed would silence its alert."""
    known = {label for counts in vars(EventCounts([])).values() for label in getattr(counts, "counts", ())}
    text = (ROOT / "docs/deploy/prometheus-alerts.yml").read_text()
    found = re.findall(r'(?:result|kind|reason)!?=~?"([^"]+)"', text)
    values = {value for alternatives in found for value in alternatives.split("|")}
    assert values >= {"refused", "internal-error"}
    assert values <= known


def test_prometheus_accepts_the_alerts() -> None:
    """``promtool check rules`` parses every expression."""
    rules = ROOT / "docs/deploy/prometheus-alerts.yml"
    command = [need("promtool"), "check", "rules", str(rules)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert checked.returncode == 0, checked.stderr


def test_operator_sees_and_ends_a_tunnel(running: tuple[GatewayProcess, Admin]) -> None:
    """With the commands: who is connected where, how long it has been idle; then the client gets 4410."""
    gateway, admin = running
    with backend(echo) as first, backend(echo) as second, ExitStack() as stack:
        clients = [stack.enter_context(connect(gateway, server.query)) for server in (first, second)]
        for client in clients:
            client.send(b"hello")
            assert client.read(5) == b"hello"
        shown = [json.loads(line) for line in admin.run("tunnels", "--json").splitlines()]
        assert [tunnel["subject"] for tunnel in shown] == ["ada", "ada"]
        assert [tunnel["address"] for tunnel in shown] == [
            f"127.0.0.1:{server.port}" for server in (first, second)
        ]
        assert all(tunnel["up_bytes"] == tunnel["down_bytes"] == 5 for tunnel in shown)
        assert all(0 <= tunnel["idle_seconds"] <= tunnel["age_seconds"] + 0.1 for tunnel in shown)
        assert admin.run("kill", shown[0]["id"]) == "ended 1 tunnel\n"
        closed = clients[0].expect_close()
        assert (closed.code, closed.reason.partition(":")[0]) == (4410, "ended-by-operator")
        table = admin.run("tunnels")
        assert shown[1]["id"] in table
        assert shown[0]["id"] not in table
        assert admin.run("kill", "--target", f"127.0.0.1:{second.port}") == "ended 1 tunnel\n"
        assert clients[1].expect_close().code == 4410
    assert "by=operator" in gateway.log


def test_drain_is_seen_until_it_is_over(running: tuple[GatewayProcess, Admin]) -> None:
    """The listeners are closed, the last tunnel lives on, and the operator sees both."""
    gateway, admin = running
    with backend(echo) as server, connect(gateway, server.query) as client:
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: admin.scrape()["portofcall_draining"] == 1)
        assert admin.scrape()["portofcall_active_tunnels"] == 1
        assert admin.run("kill", "--subject", "ada") == "ended 1 tunnel\n"
        assert client.expect_close().code == 4410
    assert gateway.process.wait(DEADLINE) == -signal.SIGTERM

"""A gateway that is exposed to hostile clients stays usable, and leaks nothing."""

import base64
import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.backends import backend, echo
from tests.e2e.gateway import LOOPBACK, TWISTD, GatewayProcess, gateway_process, need
from tests.e2e.support import twistd, until
from tests.e2e.wsclient import DEADLINE, UpgradeRefusedError, WebSocketClient

#: Nearly every test starts a gateway of its own.
pytestmark = pytest.mark.slow

#: Put on the gateway's path: names below stuck.example hang, and no name is asked of any server.
STUCK_DNS = """
import socket, threading
def getaddrinfo(name, *args, real=socket.getaddrinfo, **others):
    if str(name).endswith(".stuck.example"):
        threading.Event().wait()
    return real(name, *args, **others)
socket.getaddrinfo = getaddrinfo
"""


def tunnel_opens(gateway: GatewayProcess, source: str) -> float:
    """Open a tunnel to an echo server from an address of this machine; return how long it took."""
    with backend(echo) as server:
        started = time.monotonic()
        with WebSocketClient(gateway.port, server.query, source=source) as client:
            client.send(b"anyone?")
            assert client.read(7) == b"anyone?"
            taken = time.monotonic() - started
            client.close()
            client.receive()
        return taken


@contextmanager
def slow_lorises(gateway: GatewayProcess, count: int) -> Iterator[list[socket.socket]]:
    """Open connections that send the start of a request and then drip."""
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), DEADLINE))
            connection.sendall(b"GET / HTTP/1.1\r\nX-Drip: ")
            sockets.append(connection)
        yield sockets


def test_lorises_and_stuck_names_do_not_keep_others_out(tmp_path: Path) -> None:
    """500 connections that drip and 50 names that hang: another client's tunnel opens within a second."""
    (tmp_path / "sitecustomize.py").write_text(STUCK_DNS)
    options = ("--listen", "tcp:0:interface=127.0.0.1:backlog=1024", *LOOPBACK, "--allow", "public")
    with gateway_process(tmp_path, *options, path=tmp_path) as gateway, ExitStack() as stack:
        lorises = stack.enter_context(slow_lorises(gateway, 500))
        for number in range(50):
            query = f"host=n{number}.stuck.example&port=80"
            stack.enter_context(WebSocketClient(gateway.port, query, source="127.0.0.3"))
        assert tunnel_opens(gateway, "127.0.0.2") < 1
        for connection in lorises[::100]:
            connection.sendall(b"x")
        assert tunnel_opens(gateway, "127.0.0.2") < 1
        threads = len(list(Path(f"/proc/{gateway.process.pid}/task").iterdir()))
        assert threads < 40, "no more than the resolver's threads"


@pytest.mark.parametrize("words", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])
def test_as_many_connections_as_descriptors_keep_nobody_out(tmp_path: Path, words: bytes) -> None:
    """1100 connections of one client to a process that may have 1024: silent ones, and idle ones."""
    wrapper = [need("prlimit"), "--nofile=1024"]
    options = ("--listen", "tcp:0:interface=127.0.0.1:backlog=1024", *LOOPBACK)
    with gateway_process(tmp_path, *options, wrapper=wrapper) as gateway, ExitStack() as stack:
        for _ in range(1100):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), DEADLINE))
            connection.sendall(words)
        assert tunnel_opens(gateway, "127.0.0.2") < 5
        assert len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir())) < 400


@pytest.mark.slow
def test_refused_chunked_bodies_keep_nobody_out(tmp_path: Path) -> None:
    """90 of them, whose end is in the same read, to a process with 100 descriptors."""
    raw = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw += b"1001\r\n" + b" " * 4097 + b"\r\n0\r\n\r\n"
    wrapper = [need("prlimit"), "--nofile=100"]
    with gateway_process(tmp_path, *LOOPBACK, wrapper=wrapper) as gateway, ExitStack() as stack:
        for _ in range(90):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), DEADLINE))
            connection.sendall(raw)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
        assert tunnel_opens(gateway, "127.0.0.2") < 5


@contextmanager
def pipelining(gateway: GatewayProcess, count: int, *, reads: bool) -> Iterator[None]:
    """Send requests back to back over ``count`` connections at a time, each anew when it is closed."""
    stop = threading.Event()
    block = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000

    def flood() -> None:
        while not stop.is_set():
            with (
                suppress(OSError),
                socket.create_connection(("127.0.0.1", gateway.port), DEADLINE) as sending,
            ):
                sending.settimeout(0.05)
                while not stop.is_set():
                    with suppress(TimeoutError):
                        sending.sendall(block)
                    while reads and sending.recv(1 << 20):
                        pass

    threads = [threading.Thread(target=flood) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE)


@pytest.mark.parametrize("count", [1, 16])
def test_pipelined_requests_do_not_hold_up_tunnels(tmp_path: Path, count: int) -> None:
    """Another client's round trips stay short, in the median and nearly always."""
    options = (*LOOPBACK, "--request-rate", "0", "--auth", "memory:a:b")
    login = "Authorization: Basic " + base64.b64encode(b"a:b").decode()
    with (
        gateway_process(tmp_path, *options) as gateway,
        backend(echo) as server,
        WebSocketClient(gateway.port, server.query, headers=(login,), source="127.0.0.2") as client,
        pipelining(gateway, count, reads=True),
    ):
        trips = []
        for _ in range(100):
            started = time.monotonic()
            client.send(b"x")
            assert client.read(1) == b"x"
            trips.append(time.monotonic() - started)
        trips.sort()
        assert trips[50] < 0.1
        assert trips[95] < 0.5
        client.close()
        client.receive()


@pytest.mark.slow
def test_pipelining_client_that_does_not_read_costs_no_memory(tmp_path: Path) -> None:
    """Its responses would pile up by 13 MiB a second."""
    with gateway_process(tmp_path, *LOOPBACK, "--request-rate", "0") as gateway:
        with pipelining(gateway, 1, reads=True):
            time.sleep(0.5)
        before = gateway.rss_kib()
        with pipelining(gateway, 4, reads=False):
            time.sleep(2)
            assert gateway.rss_kib() - before < 6 * 1024


@pytest.mark.slow
def test_lorises_are_ended_after_ten_seconds(tmp_path: Path) -> None:
    """However steadily they drip: 408, and the connection is closed."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway, slow_lorises(gateway, 50) as lorises:
        started = time.monotonic()
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.5):
                for connection in lorises:
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        dripper = threading.Thread(target=drip)
        dripper.start()
        try:
            assert all(connection.recv(65536).startswith(b"HTTP/1.1 408 ") for connection in lorises)
            assert 5 < time.monotonic() - started < 20
        finally:
            stop.set()
            dripper.join(DEADLINE)


def cpu_seconds(gateway: GatewayProcess) -> float:
    """Return the processor time that the gateway has used."""
    fields = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / 100


@pytest.mark.slow
def test_few_file_descriptors_are_enough_under_a_flood(tmp_path: Path) -> None:
    """500 connections to a process with 128 descriptors: no crash, no busy loop, service goes on."""
    options = ("--listen", "tcp:0:interface=127.0.0.1:backlog=1024", *LOOPBACK)
    with gateway_process(tmp_path, *options, wrapper=[need("prlimit"), "--nofile=128"]) as gateway:
        with ExitStack() as stack:
            for _ in range(500):
                connection = stack.enter_context(socket.socket())
                connection.setblocking(False)
                connection.connect_ex(("127.0.0.1", gateway.port))
            assert tunnel_opens(gateway, "127.0.0.2") < DEADLINE
            before = cpu_seconds(gateway)
            time.sleep(2)
            assert cpu_seconds(gateway) - before < 1
            assert gateway.process.poll() is None
            assert tunnel_opens(gateway, "127.0.0.2") < DEADLINE


def ask(
    gateway: GatewayProcess, path: str = "/api/ping", **headers: str
) -> tuple[int, http.client.HTTPMessage, str]:
    """Request a ping of a port that is blocked, so that nothing is dialled."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)
    try:
        connection.request("POST", path, json.dumps({"host": "127.0.0.9", "port": 9}), headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())["code"]
    finally:
        connection.close()


def test_limits_are_reported_with_retry_after(tmp_path: Path) -> None:
    """Per client over HTTP and before the upgrade, per target as Close 4429."""
    options = ("--max-per-client", "2", "--max-per-target", "1", "--rate-per-client", "1:6")
    with gateway_process(tmp_path, *LOOPBACK, *options) as gateway, backend(echo) as server:
        with WebSocketClient(gateway.port, server.query) as first:
            first.send(b"x")
            assert first.read(1) == b"x"
            with WebSocketClient(gateway.port, server.query) as second:
                close = second.receive()
                assert close.payload[:2] == (4429).to_bytes(2, "big")
                assert close.payload[2:].startswith(b"target-busy: ")
                with pytest.raises(UpgradeRefusedError) as refused:
                    WebSocketClient(gateway.port, server.query)
                assert (refused.value.status, refused.value.headers["retry-after"]) == (429, "1")
                assert ask(gateway)[0] == 429
                second.close()
            until(lambda: "closed: target-busy" in gateway.log)
            statuses = [ask(gateway)[0] for _ in range(6)]
            assert statuses[0] == 403, "it was admitted, and blocked"
            assert statuses[-1] == 429, "too many requests"
            first.close()
            first.receive()


def test_cross_origin_pages_are_refused(tmp_path: Path) -> None:
    """By Origin, and by a Host that is not a known name of this host."""
    with gateway_process(tmp_path, *LOOPBACK, "--origin", "https://pages.example") as gateway:
        own = f"http://127.0.0.1:{gateway.port}"
        rebound = f"evil.example:{gateway.port}"
        assert ask(gateway, Origin=own)[2] == "blocked"
        assert ask(gateway, Origin="https://pages.example")[2] == "blocked"
        assert ask(gateway, Origin="http://evil.example")[0::2] == (403, "origin-refused")
        assert ask(gateway, Origin="null")[0::2] == (403, "origin-refused")
        assert ask(gateway, Origin=f"http://{rebound}", Host=rebound)[0::2] == (403, "origin-refused")
        with pytest.raises(UpgradeRefusedError) as refused:
            WebSocketClient(gateway.port, "host=127.0.0.9&port=9", headers=("Origin: http://evil.example",))
        assert refused.value.status == 403


def test_passwords_are_accepted_and_never_logged(tmp_path: Path) -> None:
    """Wrong ones are slowed down."""
    with gateway_process(tmp_path, *LOOPBACK, "--auth", "memory:ada:lovelace-secret") as gateway:
        status, headers, _ = ask(gateway)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic ")

        def basic(text: str) -> str:
            return "Basic " + base64.b64encode(text.encode()).decode()

        assert ask(gateway, Authorization=basic("ada:lovelace-secret"))[2] == "blocked"
        answers = [ask(gateway, Authorization=basic(f"ada:guess-secret-{n}")) for n in range(8)]
        assert answers[0][0] == 401
        assert answers[-1][0] == 429
        assert int(answers[-1][1]["Retry-After"]) > 0
        assert "secret" not in gateway.log
        with backend(echo) as server:
            line = "Authorization: " + basic("ada:lovelace-secret")
            with WebSocketClient(gateway.port, server.query, headers=(line,), source="127.0.0.2") as client:
                client.send(b"in")
                assert client.read(2) == b"in"
                client.close()
                client.receive()
        assert "tunnel ada@127.0.0.2:" in gateway.log


def test_single_use_tickets_are_accepted_once_and_never_logged(tmp_path: Path) -> None:
    """Made by `portofcall ticket`, for one target."""
    key = tmp_path / "key"
    key.write_text("an-example-secret-of-more-than-32-bytes")
    with gateway_process(tmp_path, *LOOPBACK, "--ticket-key", str(key)) as gateway, backend(echo) as server:
        make = [
            str(TWISTD.with_name("portofcall")),
            "ticket",
            "--key",
            str(key),
            "--once",
            "--subject",
            "page",
        ]
        made = subprocess.run(
            [*make, "--host", "127.0.0.1", "--port", str(server.port)],
            capture_output=True,
            check=True,
            text=True,
        )
        ticket = made.stdout.strip()
        assert ask(gateway, f"/api/ping?ticket={ticket}")[0] == 401, "it is for another target"
        with WebSocketClient(gateway.port, f"{server.query}&ticket={ticket}") as client:
            client.send(b"in")
            assert client.read(2) == b"in"
            client.close()
            client.receive()
        for query in (f"{server.query}&ticket={ticket}", server.query, f"{server.query}&ticket=x.y.z"):
            with pytest.raises(UpgradeRefusedError) as refused:
                WebSocketClient(gateway.port, query)
            assert refused.value.status == 401
        assert "tunnel page@" in gateway.log
        assert ticket[:30] not in gateway.log
        assert ticket.rpartition(".")[2] not in gateway.log


def test_listening_to_all_needs_a_word(tmp_path: Path) -> None:
    """Without credentials or --no-auth the start ends with one line."""
    done = twistd(tmp_path, "-n", "--pidfile=", "portofcall", "--listen", "tcp:0")
    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert "--listen tcp:0: this address is reachable from other machines" in output
    assert "--no-auth" in output
    assert "Traceback" not in output
    with gateway_process(tmp_path, "--listen", "tcp:0", "--no-auth", *LOOPBACK) as gateway:
        own = f"port={gateway.port}"
        for host in ("127.0.0.1", "127.0.0.1."):
            code = 4403 if not host.endswith(".") else 4400
            with WebSocketClient(gateway.port, f"host={host}&{own}") as client:
                close = client.expect_close()
                assert close.code == code
        with WebSocketClient(gateway.port, f"host=127.0.0.1&{own}") as client:
            assert "is this gateway itself" in client.expect_close().reason


def test_in_the_background_a_failed_start_is_told_too(tmp_path: Path) -> None:
    """By the twistd that the operator called, which shows 100 bytes of it; the log has the whole line."""
    done = twistd(tmp_path, "--pidfile=pid", "--logfile=log", "portofcall", "--listen", "tcp:0")
    assert done.returncode == 1
    assert "--listen tcp:0: this address is reachable from other mac" in done.stderr
    log = (tmp_path / "log").read_text()
    assert "critical] --listen tcp:0: this address is reachable from other machines, but no auth" in log


def test_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    """No traceback for the commonest mistake."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        done = twistd(tmp_path, "-n", "--pidfile=", "portofcall", "--listen", listen)
    assert done.returncode == 1
    assert f"--listen {listen}" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_policy_file_is_read_again_on_sighup(tmp_path: Path) -> None:
    """A sound one counts, a broken one changes nothing."""
    import signal

    policy = tmp_path / "policy"
    policy.write_text("allow 10.0.0.0/8\n")
    with gateway_process(tmp_path, "--policy", str(policy)) as gateway:
        with backend(echo) as server:
            with WebSocketClient(gateway.port, server.query) as client:
                assert client.expect_close().code == 4403
            policy.write_text("allow 127.0.0.1\nnonsense\n")
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_for_log("policy not reloaded, .*: line 2: ")
            with WebSocketClient(gateway.port, server.query) as client:
                assert client.expect_close().code == 4403
            policy.write_text("allow 127.0.0.1\n")
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_for_log("policy reloaded: 1 allow rule, 0 deny rules")
            with WebSocketClient(gateway.port, server.query) as client:
                client.send(b"in")
                assert client.read(2) == b"in"
                client.close()
                client.receive()

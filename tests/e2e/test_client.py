"""The installed client against a real gateway: what people do with it, and each exit status."""

import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.e2e.backends import closed_port
from tests.e2e.gateway import GatewayProcess, gateway_process, need, rss_kib
from tests.e2e.support import running, until, web
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow
FOLDER = Path(sys.executable).parent
PORTOFCALL = str(FOLDER / "portofcall")
#: Nothing of the machine's own settings.
ENVIRONMENT = {
    "PATH": f"{FOLDER}:{os.environ['PATH']}",
    "HOME": "/nonexistent",
    "NETRC": os.devnull,
}


def client(*arguments: object, data: bytes = b"", **environ: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command until it exits."""
    return subprocess.run(
        [PORTOFCALL, *map(str, arguments)],
        input=data,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
        env=ENVIRONMENT | environ,
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that goes to 127.0.0.1 only, and lets one client do much."""
    options = ("--allow", "127.0.0.1", "--rate-per-client", "1000:2000", "--rate-per-target", "1000:2000")
    with gateway_process(tmp_path_factory.mktemp("gateway"), *options) as process:
        yield process


@pytest.fixture
def url(gateway: GatewayProcess) -> str:
    """The gateway's URL."""
    return f"ws://127.0.0.1:{gateway.port}"


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve any number of connections on loopback, each in a thread; yield the port."""

    def run(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            connection.settimeout(DEADLINE)
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=run, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def echo(connection: socket.socket) -> None:
    """Send back what comes."""
    while piece := connection.recv(1 << 16):
        connection.sendall(piece)


def answer_after_the_end(connection: socket.socket) -> None:
    """Answer with the size and the SHA-256 of everything, once it has come: a program like ``wc -c``."""
    sha, size = hashlib.sha256(), 0
    while piece := connection.recv(1 << 16):
        sha.update(piece)
        size += len(piece)
    connection.sendall(f"{size} {sha.hexdigest()}".encode())


def test_everything_arrives_before_the_answer(url: str) -> None:
    """The end of the input is the target's FIN, and its answer still comes (`portofcall.v1`)."""
    data = os.urandom(5_000_000)
    with serving(answer_after_the_end) as target:
        done = client("connect", url, "127.0.0.1", target, data=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"{len(data)} {hashlib.sha256(data).hexdigest()}"


def test_files_and_pipes(url: str, tmp_path: Path) -> None:
    """A file as input and another as output."""
    data = os.urandom(2_000_000)
    (tmp_path / "in").write_bytes(data)
    with (
        serving(echo) as target,
        (tmp_path / "in").open("rb") as source,
        (tmp_path / "out").open("wb") as sink,
    ):
        command = [PORTOFCALL, "connect", url, "127.0.0.1", str(target)]
        done = subprocess.run(
            command, stdin=source, stdout=sink, timeout=DEADLINE, check=False, env=ENVIRONMENT
        )
    assert done.returncode == 0
    assert (tmp_path / "out").read_bytes() == data


def test_100_echoes_of_100_are_complete(url: str) -> None:
    """From 10 kB to 10 MB: the end of the input must not cut what is still under way."""
    sizes = [round(10_000 * 1000 ** (step / 99)) for step in range(100)]
    assert (sizes[0], sizes[-1]) == (10_000, 10_000_000)

    def complete(size: int) -> bool:
        data = os.urandom(size)
        done = client("connect", url, "127.0.0.1", target, data=data)
        return (done.returncode, done.stdout == data, done.stderr) == (0, True, b"")

    with serving(echo) as target, ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(complete, sizes)) == 100


def test_a_request_in_a_pipe_prints_the_response(url: str, tmp_path: Path) -> None:
    """As the documentation shows it: the end of the input leaves the response alone."""
    with web(tmp_path) as port:
        done = subprocess.run(
            rf"printf 'GET / HTTP/1.0\r\n\r\n' | portofcall connect {url} 127.0.0.1 {port}",
            shell=True,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
            env=ENVIRONMENT,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"HTTP/1.0 200 OK\r\n")
    assert done.stdout.endswith(b"\r\n\r\na page\n")


def test_a_slow_reader_costs_little_memory(url: str) -> None:
    """1 GiB waits at the target, not in the client."""
    size = 1 << 30

    def pour(connection: socket.socket) -> None:
        connection.sendall(b"r")
        assert connection.recv(1) == b"g"
        piece = bytes(1 << 20)
        for _ in range(size >> 20):
            connection.sendall(piece)

    with serving(pour) as target:
        command = [PORTOFCALL, "connect", url, "127.0.0.1", str(target)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert os.read(process.stdout.fileno(), 1) == b"r"
            idle = peak = rss_kib(process.pid)
            process.stdin.write(b"g")
            process.stdin.flush()
            received = 0
            while piece := os.read(process.stdout.fileno(), 1 << 20):
                received += len(piece)
                if received % (1 << 26) < len(piece):
                    time.sleep(0.05)
                    peak = max(peak, rss_kib(process.pid))
        assert received == size
    assert peak - idle < 8 * 1024


def status_of(done: subprocess.CompletedProcess[bytes]) -> tuple[int, str]:
    """Return the exit status and the slug; standard error has one line."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    return done.returncode, lines[0].split(": ")[1]


def test_exit_statuses_of_a_gateway_and_its_targets(url: str, tmp_path: Path) -> None:
    """Each with one sentence, at once."""
    closed = closed_port()
    assert client("connect", url, "127.0.0.1").returncode == 1
    assert status_of(client("connect", f"ws://127.0.0.1:{closed}", "h", 1)) == (2, "gateway-unreachable")
    with web(tmp_path) as port:
        assert status_of(client("connect", f"ws://127.0.0.1:{port}", "h", 1)) == (2, "http-404")
    assert status_of(client("connect", url, "10.0.0.1", 22)) == (4, "blocked")
    assert status_of(client("connect", url, "127.0.0.1", closed)) == (5, "refused")
    assert status_of(client("connect", url, "--target", "none")) == (5, "unknown-target")
    assert status_of(client("ping", url, "127.0.0.1", closed, "-c", "1")) == (5, "refused")
    assert status_of(client("banner", url, "127.0.0.1", closed)) == (5, "refused")


def test_exit_statuses_of_access_and_limits(tmp_path: Path) -> None:
    """3 without a ticket, 0 with one, 7 when it is one too many."""
    key, ticket = tmp_path / "key", tmp_path / "ticket"
    key.write_bytes(b"k" * 32)
    with (
        gateway_process(
            tmp_path, "--allow", "127.0.0.1", "--ticket-key", str(key), "--rate-per-client", "0.01:4"
        ) as gateway,
        serving(echo) as target,
    ):
        url = f"ws://127.0.0.1:{gateway.port}"
        where = (url, "127.0.0.1", target)
        assert status_of(client("connect", *where)) == (3, "unauthorized")
        ticket.write_bytes(client("ticket", "--key", key).stdout)
        assert client("connect", *where, "--ticket-file", ticket, data=b"a").stdout == b"a"
        command = f"cat {ticket}"
        assert client("connect", *where, "--ticket-command", command, data=b"b").stdout == b"b"
        environ: dict[str, Any] = {"PORTOFCALL_TICKET": ticket.read_text()}
        assert client("connect", *where, data=b"c", **environ).stdout == b"c"
        late = client("connect", *where, "--ticket-file", ticket)
        assert status_of(late) == (7, "too-many-requests")
        assert b"try again in" in late.stderr
        assert ticket.read_text().strip() not in gateway.log


def test_a_gateway_by_its_name_and_a_password(tmp_path: Path) -> None:
    """From config.toml with a password file, or from netrc; a wrong password is status 3."""
    config, password, netrc = tmp_path / "config.toml", tmp_path / "password", tmp_path / "netrc"
    password.write_text("lovelace\n")
    netrc.write_text("machine 127.0.0.1 login ada password lovelace\n")
    netrc.chmod(0o600)
    with (
        gateway_process(tmp_path, "--allow", "127.0.0.1", "--auth", "memory:ada:lovelace") as gateway,
        serving(echo) as target,
    ):
        url = f"ws://127.0.0.1:{gateway.port}"
        config.write_text(f'[gateway.work]\nurl = "{url}"\nuser = "ada"\npassword_file = "password"\n')
        named = ("connect", "work", "127.0.0.1", target, "--config", config)
        done = client(*named, data=b"by name")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"by name", b"")
        done = client("connect", url, "127.0.0.1", target, data=b"netrc", NETRC=str(netrc))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"netrc", b"")
        password.write_text("wrong\n")
        assert status_of(client(*named)) == (3, "unauthorized")


@contextmanager
def connected(url: str, target: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client that has exchanged a byte with its target."""
    command = [PORTOFCALL, "connect", url, "127.0.0.1", str(target), *options]
    pipe: Any = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"x")
            process.stdin.flush()
            assert process.stdout.read(1) == b"x"
            yield process
        finally:
            process.kill()


def test_a_gateway_that_is_killed_is_status_6(tmp_path: Path) -> None:
    """The tunnel was cut in the middle."""
    with serving(echo) as target:
        gateway = GatewayProcess(tmp_path, "--allow", "127.0.0.1")
        with connected(f"ws://127.0.0.1:{gateway.port}", target) as process:
            gateway.process.kill()
            gateway.process.wait()
            assert process.stderr is not None
            assert process.wait(DEADLINE) == 6
            assert process.stderr.read().startswith(b"portofcall connect: gateway-lost: ")


def test_a_target_that_resets_is_status_6(url: str) -> None:
    """In the middle, after it has answered."""

    def reset(connection: socket.socket) -> None:
        connection.sendall(connection.recv(1))
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(reset) as target, connected(url, target) as process:
        _, error = process.communicate(b"y", DEADLINE)
        assert (process.returncode, error.count(b"\n")) == (6, 1), error


def test_a_gateway_that_stops_without_an_end_is_status_6(tmp_path: Path) -> None:
    """It does not answer a ping; a tunnel more than there may be is status 7 meanwhile."""
    options = ("--ping-interval", "0.3", "--ping-timeout", "0.3")
    with (
        serving(echo) as target,
        gateway_process(tmp_path, "--allow", "127.0.0.1", "--max-tunnels", "1") as gateway,
    ):
        url = f"ws://127.0.0.1:{gateway.port}"
        with connected(url, target, *options) as process:
            late = client("connect", url, "127.0.0.1", target)
            assert (late.returncode, b"try again in" in late.stderr) == (7, True), late.stderr
            gateway.process.send_signal(signal.SIGSTOP)
            try:
                assert process.wait(DEADLINE) == 6
            finally:
                gateway.process.send_signal(signal.SIGCONT)
            assert process.stderr is not None
            assert process.stderr.read().startswith(b"portofcall connect: ping-timeout: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_status_130(url: str, number: int) -> None:
    """Without a word."""
    with serving(echo) as target, connected(url, target) as process:
        process.send_signal(number)
        assert process.wait(DEADLINE) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_reader_that_leaves_ends_the_client(url: str) -> None:
    """As SIGPIPE would, without a word."""
    with serving(echo) as target, connected(url, target) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(DEADLINE) == 141
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_ping_and_banner(url: str) -> None:
    """Ctrl-C prints the summary."""

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-Test\r\n")
        connection.recv(1)

    with serving(greet) as target:
        assert client("banner", url, "127.0.0.1", target).stdout == b"SSH-2.0-Test\n"
        command = [PORTOFCALL, "ping", "--json", "-i", "0.05", url, "127.0.0.1", str(target)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=ENVIRONMENT) as process:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["seq"] == 1
            process.send_signal(signal.SIGINT)
            summary = json.loads(process.stdout.read().splitlines()[-1])
            assert process.wait(DEADLINE) == 130
    assert summary["answered"] == summary["sent"] >= 1


@contextmanager
def proxy(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a proxy that listens on a port of 127.0.0.1."""

    def listens() -> bool:
        with suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        return False

    with running(command, log):
        until(listens)
        yield


@contextmanager
def tinyproxy(folder: Path) -> Iterator[str]:
    """Run a proxy that wants a password; yield its host and port."""
    program, port = need("tinyproxy"), closed_port()
    config = folder / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nMaxClients 20\nBasicAuth me secret\n"
        f'LogFile "{folder}/log"\nLogLevel Error\n'
    )
    with proxy([program, "-d", "-c", str(config)], port, folder / "output"):
        yield f"127.0.0.1:{port}"


def test_mutual_tls(tmp_path: Path) -> None:
    """With the client's certificate, also through a proxy with a password; without it the status is 3."""
    root, clients = Authority(), Authority("Test Clients")
    cert, key = root.issue("localhost").write(tmp_path)
    own_cert, own_key = clients.issue(subject="alice", client=True).write(tmp_path, "client")
    cacert, clients_ca = root.write(tmp_path), clients.write(tmp_path, "clients")
    options = [
        *("--allow", "127.0.0.1", "--tls-cert", str(cert), "--tls-key", str(key)),
        *("--listen", "tls+tcp:0:interface=127.0.0.1"),
    ]
    with (
        gateway_process(
            tmp_path, "--allow", "127.0.0.1", *options, "--tls-client-ca", str(clients_ca)
        ) as gateway,
        serving(echo) as target,
    ):
        where = (f"wss://localhost:{gateway.port}", "127.0.0.1", target)
        own = ("--cert", own_cert, "--key", own_key)
        done = client("connect", *where, "--cacert", cacert, *own, data=b"x" * 100_000)
        assert (done.returncode, len(done.stdout), done.stderr) == (0, 100_000, b"")
        with tinyproxy(tmp_path) as server:
            environ: dict[str, Any] = {"HTTPS_PROXY": f"http://me:secret@{server}"}
            done = client("connect", *where, "--cacert", cacert, *own, data=b"x" * 100_000, **environ)
            assert (done.returncode, len(done.stdout), done.stderr) == (0, 100_000, b"")
            environ["HTTPS_PROXY"] = f"http://me:wrong@{server}"
            wrong = client("connect", *where, "--cacert", cacert, *own, **environ)
            assert status_of(wrong) == (3, "proxy-unauthorized")
        assert status_of(client("connect", *where, "--cacert", cacert)) == (3, "certificate-required")
        assert status_of(client("connect", *where, *own)) == (2, "gateway-tls-failed")
        loud = client("connect", *where, *own, "--insecure", data=b"y")
        assert (loud.returncode, loud.stdout) == (0, b"y")
        assert b"NOT verified" in loud.stderr


def test_through_tinyproxy_with_a_password(url: str, tmp_path: Path) -> None:
    """As at work: HTTP_PROXY, or --proxy; without the password, status 3."""
    with tinyproxy(tmp_path) as server, serving(echo) as target:
        where = (url, "127.0.0.1", target)
        environ: dict[str, Any] = {"HTTP_PROXY": f"http://me:secret@{server}"}
        assert client("connect", *where, data=b"through", **environ).stdout == b"through"
        assert client("ping", *where, "-c", "1", **environ).returncode == 0
        wrong = client("connect", *where, "--proxy", f"http://{server}")
        assert status_of(wrong) == (3, "proxy-unauthorized")
        environ["NO_PROXY"] = "127.0.0.1"
        assert client("connect", *where, data=b"past", **environ).stdout == b"past"


def test_through_microsocks_with_a_password(url: str, tmp_path: Path) -> None:
    """A SOCKS5 proxy: ALL_PROXY, or --proxy; a wrong password is status 3."""
    port = closed_port()
    command = [need("microsocks"), "-i", "127.0.0.1", "-p", str(port), "-u", "me", "-P", "secret"]
    with proxy(command, port, tmp_path / "output"), serving(echo) as target:
        where, data = (url, "127.0.0.1", target), os.urandom(1_000_000)
        environ: dict[str, Any] = {"ALL_PROXY": f"socks5://me:secret@127.0.0.1:{port}"}
        assert client("connect", *where, data=data, **environ).stdout == data
        for login in ("me:wrong@", ""):
            wrong = client("connect", *where, ALL_PROXY=f"socks5://{login}127.0.0.1:{port}")
            assert status_of(wrong) == (3, "proxy-unauthorized")
        no_gateway = client("connect", f"ws://127.0.0.1:{closed_port()}", "h", 1, **environ)
        assert status_of(no_gateway) == (2, "proxy-failed")


def test_the_start_takes_little_longer_than_twisted_and_autobahn(url: str) -> None:
    """At most 1.5 times the processor time of importing both, to the end of a tunnel."""
    baseline = [sys.executable, "-c", "import twisted.internet.reactor, autobahn.twisted.websocket"]

    def processor_seconds(command: list[str]) -> float:
        before = os.times()
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    with serving(echo) as target:
        command = [str(PORTOFCALL), "connect", url, "127.0.0.1", str(target)]
        ratios = [processor_seconds(command) / processor_seconds(baseline) for _ in range(5)]
    assert sorted(ratios)[2] <= 1.5, ratios

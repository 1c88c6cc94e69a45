"""`portofcall forward` and `twistd portofcall-forward` as people use them, against a real gateway."""

import hashlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.backends import Backend, MiB, backend, closed_port, digest, echo, send_and_close
from tests.e2e.gateway import LOOPBACK, TWISTD, GatewayProcess, gateway_process, need, rss_kib
from tests.e2e.postgres import postgres
from tests.e2e.support import exchange, running, until, until_still, web
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow
PORTOFCALL = str(TWISTD.with_name("portofcall"))
#: Each of these tests opens tunnels as fast as it can.
RATES = ("--rate-per-client", "1000:2000", "--rate-per-target", "1000:2000")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that goes to 127.0.0.1 and localhost only."""
    folder = tmp_path_factory.mktemp("gateway")
    with gateway_process(folder, *LOOPBACK, "--allow", "localhost", *RATES) as process:
        yield process


class Forwarding:
    """A running forwarder.

    Attributes:
        log: its standard error.
        ports: those on 127.0.0.1, in the order of its options.
    """

    def __init__(self, log: Path, process: "subprocess.Popen[bytes]", listeners: int) -> None:
        self.log = log
        self.process = process
        until(lambda: len(self._listening()) == listeners or process.poll() is not None)
        self.ports = [int(port) for port in re.findall(r"listening on 127\.0\.0\.1:(\d+)", log.read_text())]

    def _listening(self) -> list[str]:
        return re.findall(r"listening on (?:127|/)", self.log.read_text())

    def problems(self) -> list[str]:
        """The lines about tunnels that failed."""
        lines = [line.partition("portofcall forward: ")[2] for line in self.log.read_text().splitlines()]
        return [line for line in lines if line and not line.startswith("listening on")]


@contextmanager
def forwarding(folder: Path, gateway_port: int, *options: str) -> Iterator[Forwarding]:
    """Run the installed command."""
    command = [PORTOFCALL, "forward", f"ws://127.0.0.1:{gateway_port}", "-v", *options]
    with running(command, folder / "forward.log") as process:
        listeners = sum(option in ("-L", "-D") for option in options)
        forwarder = Forwarding(folder / "forward.log", process, listeners)
        assert process.poll() is None, forwarder.log.read_text()
        yield forwarder


def run(*command: object, data: bytes = b"", **environ: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a program until it exits."""
    return subprocess.run(
        [str(word) for word in command],
        input=data,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
        env=os.environ | environ,
    )


def test_psql_and_redis_cli_through_local_ports(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Both at once, in one forwarder; a dump of 100000 rows comes whole."""
    psql, cli = need("psql"), need("redis-cli")
    redis_port, log = closed_port(), tmp_path / "redis.log"
    redis = [need("redis-server"), "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "", "--dir"]
    with postgres() as postgres_port, running([*redis, str(tmp_path)], log):
        until(lambda: "Ready to accept connections" in log.read_text())
        rules = (f"0:127.0.0.1:{postgres_port}", f"0:localhost:{redis_port}")
        with forwarding(tmp_path, gateway.port, "-L", rules[0], "-L", rules[1]) as forwarder:
            sql = "select count(*), sum(n) from generate_series(1, 1000) n"
            database = ("-h", "127.0.0.1", "-p", forwarder.ports[0], "-U", "postgres", "-At", "-c")
            done = run(psql, *database, sql)
            assert done.stdout == b"1000|500500\n", done.stderr
            done = run(psql, *database, "copy (select generate_series(1, 100000)) to stdout")
            assert done.stdout == b"".join(b"%d\n" % n for n in range(1, 100001))
            for command, answer in (("SET ship port", b"OK\n"), ("GET ship", b"port\n")):
                assert run(cli, "-p", forwarder.ports[1], *command.split()).stdout == answer
            assert forwarder.problems() == []


def test_curl_through_socks(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Names are resolved at the gateway; what fails has the code that means it, and one line."""
    curl, closed = need("curl"), closed_port()
    (tmp_path / "login").write_text("me:secret\n")
    options = ("-D", "0", "--socks-login-file", str(tmp_path / "login"))
    with web(tmp_path) as port, forwarding(tmp_path, gateway.port, *options) as forwarder:
        proxy = ("--socks5-hostname", f"127.0.0.1:{forwarder.ports[0]}", "--proxy-user")
        done = run(curl, "-sS", *proxy, "me:secret", f"http://localhost:{port}/")
        assert done.stdout == b"a page\n", done.stderr
        for url, code in ((f"http://127.0.0.1:{closed}", 5), ("http://10.0.0.1", 2)):
            done = run(curl, "-sS", *proxy, "me:secret", url)
            assert (done.returncode, f"({code})" in done.stderr.decode()) == (97, True), done.stderr
        assert run(curl, "-sS", *proxy, "me:wrong", f"http://localhost:{port}/").returncode == 97
        problems = [line.split(": ")[1] for line in forwarder.problems()[:2]]
        assert problems == ["refused", "blocked"]
        assert "secret" not in forwarder.log.read_text()


def test_nc_ends_its_request_with_fin(gateway: GatewayProcess, tmp_path: Path) -> None:
    """And gets the whole response, also over IPv6 and through a UNIX socket."""
    nc, path = need("nc"), tmp_path / "web.sock"
    with web(tmp_path) as port:
        options = ("-L", f"0:127.0.0.1:{port}", "-L", f"{path}:127.0.0.1:{port}")
        with forwarding(tmp_path, gateway.port, *options) as forwarder:
            for where in (("127.0.0.1", forwarder.ports[0]), ("::1", forwarder.ports[0]), ("-U", path)):
                done = run(nc, "-N", *where, data=b"GET / HTTP/1.0\r\n\r\n")
                assert done.stdout.startswith(b"HTTP/1.0 200 OK\r\n"), done.stderr
                assert done.stdout.endswith(b"\r\n\r\na page\n")
            assert path.stat().st_mode & 0o777 == 0o600
        assert not path.exists()


def test_everything_arrives(gateway: GatewayProcess, tmp_path: Path) -> None:
    """64 MiB, to a program that reads slowly at first, which costs no memory."""
    size = 64 * MiB
    with backend(send_and_close(size)) as server:
        rule = ("-L", f"0:127.0.0.1:{server.port}")
        with forwarding(tmp_path, gateway.port, *rule) as forwarder:
            before = rss_kib(forwarder.process.pid)
            with socket.create_connection(("127.0.0.1", forwarder.ports[0]), DEADLINE) as program:
                until(lambda: server.sent > MiB)
                assert until_still(lambda: server.sent) < size
                assert rss_kib(forwarder.process.pid) - before < 8192
                sha = hashlib.sha256()
                while data := program.recv(MiB):
                    sha.update(data)
                assert sha.hexdigest() == digest(size)


def test_a_gateway_that_is_killed_and_started_again(tmp_path: Path) -> None:
    """Its tunnels are reset; connections fail, or wait with --retry, and the listeners go on."""
    port, listening = closed_port(), "listening on"
    options = ("--listen", f"tcp:{port}:interface=127.0.0.1", *LOOPBACK, *RATES)
    folder = tmp_path / "waits"
    folder.mkdir()
    with web(tmp_path) as web_port, backend(echo) as server:
        rules = ("-L", f"0:127.0.0.1:{server.port}", "-L", f"0:127.0.0.1:{web_port}")
        with (
            forwarding(tmp_path, port, *rules) as fails,
            forwarding(folder, port, "--retry", "30", *rules[2:]) as waits,
            ThreadPoolExecutor() as pool,
        ):
            request = b"GET / HTTP/1.0\r\n\r\n"
            with gateway_process(tmp_path, *options) as gateway:
                assert exchange(fails.ports[1], request).endswith(b"a page\n")
                with socket.create_connection(("127.0.0.1", fails.ports[0]), DEADLINE) as program:
                    program.settimeout(DEADLINE)
                    program.sendall(b"hello")
                    assert program.recv(5) == b"hello"
                    gateway.process.kill()
                    with pytest.raises(ConnectionResetError):
                        program.recv(5)
            with pytest.raises(ConnectionResetError):
                exchange(fails.ports[1], request)
            answer = pool.submit(exchange, waits.ports[0], request)
            until(lambda: "another attempt follows" in waits.log.read_text())
            with gateway_process(tmp_path, *options):
                assert answer.result(DEADLINE).endswith(b"a page\n")
                assert exchange(fails.ports[1], request).endswith(b"a page\n")
            slugs = [line.split(": ")[1] for line in fails.problems()]
            assert slugs == ["gateway-lost", "gateway-unreachable"]
            assert listening in waits.log.read_text()


def test_an_interrupt_resets_connections(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Neither side may take it for the end of the other; the exit status is 130."""

    def serve(server: Backend) -> None:
        server.connection.sendall(server.connection.recv(5))
        server.receive()

    with backend(serve) as server:
        with forwarding(tmp_path, gateway.port, "-L", f"0:127.0.0.1:{server.port}") as forwarder:
            with socket.create_connection(("127.0.0.1", forwarder.ports[0]), DEADLINE) as program:
                program.settimeout(DEADLINE)
                program.sendall(b"hello")
                assert program.recv(5) == b"hello"
                forwarder.process.terminate()
                with pytest.raises(ConnectionResetError):
                    program.recv(1)
            assert forwarder.process.wait(DEADLINE) == 130
            assert server.wait_for_end() == "ConnectionResetError"
            assert forwarder.problems() == []


def test_a_flood_of_half_open_handshakes(gateway: GatewayProcess, tmp_path: Path) -> None:
    """500 clients that send one byte and wait: others still get their tunnels."""
    with web(tmp_path) as port, forwarding(tmp_path, gateway.port, "-D", "0") as forwarder:
        clients = []
        try:
            for _ in range(500):
                client = socket.create_connection(("127.0.0.1", forwarder.ports[0]), DEADLINE)
                clients.append(client)
                client.sendall(b"\x05")
            done = run(
                need("curl"),
                "-sS",
                "-x",
                f"socks5h://127.0.0.1:{forwarder.ports[0]}",
                f"http://localhost:{port}/",
            )
            assert done.stdout == b"a page\n", done.stderr
            descriptors = len(list(Path(f"/proc/{forwarder.process.pid}/fd").iterdir()))
            assert descriptors < 200
        finally:
            for client in clients:
                client.close()


def test_twistd_runs_it_as_a_service(gateway: GatewayProcess, tmp_path: Path) -> None:
    """With the same options; a port that is taken ends it with one line."""
    log = tmp_path / "twistd.log"
    command = [str(TWISTD), "-n", "--pidfile=", "portofcall-forward", f"ws://127.0.0.1:{gateway.port}", "-v"]
    with web(tmp_path) as port:
        with running([*command, "-L", f"0:127.0.0.1:{port}"], log):
            until(lambda: "listening on [::1]" in log.read_text())
            match = re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text())
            assert match is not None
            assert exchange(int(match[1]), b"GET / HTTP/1.0\r\n\r\n").endswith(b"a page\n")
            done = run(*command, "-L", f"{match[1]}:127.0.0.1:{port}")
        assert done.returncode == 1
        output = (done.stdout + done.stderr).decode()
        assert f"twistd portofcall-forward: cannot-listen: can't listen on localhost:{match[1]}" in output
        assert "Traceback" not in output + log.read_text()

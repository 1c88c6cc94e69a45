"""A gateway on a machine with public addresses: two network namespaces, one link, and no way out of them.

The gateway's machine has 93.184.216.34 and 2606:2800:220:1::34; its neighbour has the .1 and ::1 of the same
networks, and 93.184.217.1 behind them, which is reached by a route.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.gateway import GatewayProcess, gateway_process, need
from tests.e2e.wsclient import DEADLINE

#: Nearly every test starts a gateway of its own.
pytestmark = pytest.mark.slow

OWN, NEIGHBOUR, BEYOND = "93.184.216.34", "93.184.216.1", "93.184.217.1"
OWN6, NEIGHBOUR6 = "2606:2800:220:1::34", "2606:2800:220:1::1"
PORT = 6379

#: A service on all addresses, as redis or a database often is.
SERVICE = f"""
import socket, sys
listener = socket.create_server(("", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
sys.stdin.read()
"""
#: A name server that prints what it is asked for.
NAME_SERVER = f"""
import socket
answers = {{"www.example.com": "{BEYOND}", "www.example.com.inside.example": "10.0.0.1"}}
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print("ready", flush=True)
while True:
    query, client = server.recvfrom(512)
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += query[at] + 1
    name, a_record = ".".join(labels), query[at + 2] == 1
    print(name, flush=True)
    found = a_record and name in answers
    answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\0\\0\\4" + socket.inet_aton(answers[name]) if found else b""
    head = query[:2] + b"\\x81\\x80\\0\\1\\0" + bytes([found]) + b"\\0\\0\\0\\0"
    server.sendto(head + query[12 : at + 5] + answer, client)
"""


class Machine:
    """A network namespace.

    Args:
        name: of the namespace.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.inside = ("ip", "netns", "exec", name)

    @contextmanager
    def running(self, program: str) -> Iterator[subprocess.Popen[str]]:
        """Run a Python program in it, which prints a line when it is ready."""
        process = subprocess.Popen(
            [*self.inside, sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """The gateway's machine, with the neighbour on its link; both have a service on port 6379."""
    need("ip")
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "CI has to run this as root"
        pytest.skip("only root can make network namespaces")
    own, neighbour = Machine(f"pocgateway{os.getpid()}"), Machine(f"pocneighbour{os.getpid()}")
    commands = [
        f"link add pocveth0 netns {own.name} type veth peer name pocveth1 netns {neighbour.name}",
        f"-n {own.name} link set lo up",
        f"-n {own.name} link set pocveth0 up",
        f"-n {own.name} address add {OWN}/24 dev pocveth0",
        f"-n {own.name} address add {OWN6}/64 dev pocveth0 nodad",
        f"-n {neighbour.name} link set lo up",
        f"-n {neighbour.name} link set pocveth1 up",
        f"-n {neighbour.name} address add {NEIGHBOUR}/24 dev pocveth1",
        f"-n {neighbour.name} address add {NEIGHBOUR6}/64 dev pocveth1 nodad",
        f"-n {neighbour.name} address add {BEYOND}/32 dev lo",
        f"-n {own.name} route add {BEYOND}/32 via {NEIGHBOUR}",
    ]
    made: list[Machine] = []
    try:
        for each in (own, neighbour):
            subprocess.run(["ip", "netns", "add", each.name], check=True)
            made.append(each)
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        with own.running(SERVICE), neighbour.running(SERVICE):
            yield own
    finally:
        for each in made:
            subprocess.run(["ip", "netns", "delete", each.name], check=True)


@contextmanager
def gateway_on(
    machine: Machine, folder: Path, *options: str, wrapper: tuple[str, ...] = ()
) -> Iterator[GatewayProcess]:
    """Run a gateway there; it can be reached from outside by its UNIX socket."""
    listen = ("--listen", "tcp:0:interface=127.0.0.1", "--listen", f"unix:{folder / 'socket'}")
    with gateway_process(folder, *listen, *options, wrapper=(*machine.inside, *wrapper)) as gateway:
        gateway.wait_for_log(rf"listening on .*{folder}/socket")
        yield gateway


def ping(folder: Path, host: str) -> tuple[int, str]:
    """Ping the service at this host through the gateway; return the status, and the error if there is one."""
    with closing(http.client.HTTPConnection("localhost", timeout=DEADLINE)) as connection:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(DEADLINE)
        connection.sock.connect(str(folder / "socket"))
        connection.request("POST", "/api/ping", json.dumps({"host": host, "port": PORT}))
        response = connection.getresponse()
        return response.status, json.loads(response.read()).get("error", "")


def test_public_covers_neither_this_machine_nor_its_neighbours(machine: Machine, tmp_path: Path) -> None:
    """By default; an address behind a route is public all the same."""
    with gateway_on(machine, tmp_path):
        for host in (OWN, OWN6, f"::ffff:{OWN}"):
            status, error = ping(tmp_path, host)
            assert (status, "is an address of this machine" in error) == (403, True), error
        for host in (NEIGHBOUR, NEIGHBOUR6):
            status, error = ping(tmp_path, host)
            assert (status, "is in a network of this machine" in error) == (403, True), error
        assert ping(tmp_path, BEYOND) == (200, "")


def test_rule_that_names_the_address_or_the_block_opens_it(machine: Machine, tmp_path: Path) -> None:
    """On its port only, if it has one."""
    rules = ("--allow", f"{OWN}:{PORT}", "--allow", "2606:2800:220:1::/64")
    with gateway_on(machine, tmp_path, *rules):
        assert ping(tmp_path, OWN) == (200, "")
        assert ping(tmp_path, NEIGHBOUR)[0] == 403
        assert ping(tmp_path, OWN6) == (200, "")
        assert ping(tmp_path, NEIGHBOUR6) == (200, "")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([OWN, "443"], 1, f"{OWN} is an address of this machine (93.184.216.0/24) and no rule allows it"),
        ([NEIGHBOUR6, "443"], 1, f"{NEIGHBOUR6} is in a network of this machine (2606:2800:220:1::/64)"),
        ([BEYOND, "443"], 0, 'allowed by rule "public"'),
        (["--allow", OWN, OWN, "443"], 0, f'allowed by rule "{OWN}"'),
    ],
)
def test_check_says_why(machine: Machine, arguments: list[str], status: int, words: str) -> None:
    """``portofcall check`` reads the interfaces too."""
    script = Path(sys.executable).with_name("portofcall")
    done = subprocess.run(
        [*machine.inside, script, "check", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (status, "")
    assert words in done.stdout


def test_judged_name_is_the_resolved_name(machine: Machine, tmp_path: Path) -> None:
    """The search list of resolv.conf would make an inner name of it, and ndots would do so first."""
    settings = tmp_path / "resolv.conf"
    settings.write_text("nameserver 127.0.0.1\nsearch inside.example\noptions ndots:5\n")
    # The namespace of mounts is the command's own.
    wrapper = ("sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(settings))
    with machine.running(NAME_SERVER) as name_server:
        with gateway_on(machine, tmp_path, wrapper=wrapper):
            assert ping(tmp_path, "www.example.com") == (200, "")
            status, error = ping(tmp_path, "localhost.example.com")
            assert (status, "has no address" in error) == (502, True), error
        name_server.kill()
        asked = name_server.communicate()[0].split()
    assert set(asked) == {"www.example.com", "localhost.example.com"}

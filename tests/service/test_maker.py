"""``twistd portofcall`` becomes a service that listens, drains, and ends with one line when it can't."""

import atexit
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from cryptography import x509
from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from zope.interface.verify import verifyObject

from portofcall.gateway import Gateway
from portofcall.service.listener import NotListening
from portofcall.service.maker import makeService
from portofcall.testing import World
from tests.certificates import DAY
from tests.loopback import echo_server, echo_through
from tests.service.support import parse, stop
from tests.tls_client import GATEWAY, MIDDLE, ROOT, TLSClient


def tls_options(folder: Path) -> list[str]:
    """Options for a listener with TLS on every address, with the certificate ``GATEWAY``."""
    certificate, key = GATEWAY.write(folder)
    return ["--listen=tls+tcp:0", f"--tls-cert={certificate}", f"--tls-key={key}"]


class StoppableReactor(MemoryReactorClock):
    """A reactor in memory that counts how often it was stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0

    def stop(self) -> None:
        """Count."""
        self.stops += 1


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Gateway]:
    """The gateways that are made during the test."""
    gateways: list[Gateway] = []

    class Recorded(Gateway):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            gateways.append(self)

    monkeypatch.setattr("portofcall.service.maker.Gateway", Recorded)
    return gateways


@pytest_twisted.ensureDeferred
async def test_service_of_an_application(tmp_path: Path) -> None:
    """It listens while it runs, and drains when it stops."""
    path = tmp_path / "socket"
    async with echo_server() as echo:
        service = makeService(parse("--listen", f"unix:{path}", "--allow", f"127.0.0.1/32:{echo}"))
        assert verifyObject(IService, service)
        service.privilegedStartService()
        service.startService()
        await echo_through(f"unix:{path}", "/api/connect", echo)
        await stop(service)
        assert not path.exists()


@pytest_twisted.ensureDeferred
async def test_unix_listener_is_no_target(tmp_path: Path, made: list[Gateway]) -> None:
    """The gateway does not dial its own socket, by whatever path, while it listens."""
    path, link = tmp_path / "socket", tmp_path / "link"
    link.symlink_to(path)
    service = makeService(parse("--listen", f"unix:{path}", f"--target=loop=unix:{link}"))
    (gateway,) = made
    guard = gateway.loop_guard
    service.privilegedStartService()
    assert guard.includes_path(str(link))
    await stop(service)
    assert not guard.includes_path(str(link))


@pytest_twisted.ensureDeferred
async def test_port_that_is_taken_ends_the_start() -> None:
    """A gateway that does not listen must not look as if it ran."""
    async with echo_server() as taken:
        service = makeService(parse("--listen", f"tcp:{taken}:interface=127.0.0.1"))
        with pytest.raises(NotListening, match="in use"):
            service.privilegedStartService()
        await stop(service)


@pytest.mark.parametrize(
    "exposing",
    [
        ["--listen=tcp:0"],
        ["--listen=haproxy:tcp:0:interface=127.0.0.1"],
        ["--listen=tcp:0:interface=127.0.0.1", "--trust-forwarded=127.0.0.1"],
    ],
)
@pytest.mark.parametrize("authentication", [[], ["--no-auth"], ["--auth", "memory:ada:lovelace"]])
@pytest_twisted.ensureDeferred
async def test_exposed_listener_needs_authentication_or_no_auth(
    exposing: list[str], authentication: list[str]
) -> None:
    """The same for each way in which other machines can reach it."""
    service = makeService(parse(*exposing, *authentication))
    if authentication:
        service.privilegedStartService()
    else:
        with pytest.raises(NotListening, match="--no-auth"):
            service.privilegedStartService()
    await stop(service)


@pytest_twisted.ensureDeferred
async def test_private_listeners_need_no_authentication(tmp_path: Path) -> None:
    """Loopback and UNIX sockets."""
    endpoints = ["tcp:0:interface=127.0.0.1", "tcp6:0:interface=\\:\\:1", f"unix:{tmp_path / 'socket'}"]
    service = makeService(parse(*(f"--listen={endpoint}" for endpoint in endpoints)))
    service.privilegedStartService()
    await stop(service)


@pytest.mark.parametrize(
    ("client_ca", "others", "allowed"),
    [(False, [], False), (True, [], True), (True, ["--listen=tcp:0"], False)],
)
@pytest_twisted.ensureDeferred
async def test_client_certificates_are_authentication(
    client_ca: bool, others: list[str], allowed: bool, tmp_path: Path
) -> None:
    """For the listeners that require them, not for others beside them."""
    options = [f"--tls-client-ca={ROOT.write(tmp_path)}"] if client_ca else []
    service = makeService(parse(*tls_options(tmp_path), *options, *others))
    if allowed:
        service.privilegedStartService()
    else:
        with pytest.raises(NotListening, match="--no-auth"):
            service.privilegedStartService()
    await stop(service)


def test_under_twistd_a_failed_start_is_one_line() -> None:
    """No traceback for a port that is taken or must not be exposed; in the background, twistd needs one."""
    with pytest.raises(SystemExit, match="twistd portofcall: --listen tcp:0: this address is reachable"):
        makeService(parse("--listen", "tcp:0", twistd={"nodaemon": True})).privilegedStartService()
    with pytest.raises(NotListening):
        makeService(parse("--listen", "tcp:0", twistd={"nodaemon": False})).privilegedStartService()


@pytest.mark.parametrize(("twistd", "stops"), [({"nodaemon": True}, 1), ({"nodaemon": False}, 1), (None, 0)])
def test_listener_that_fails_later_stops_twistd(
    monkeypatch: pytest.MonkeyPatch, logged: list[str], twistd: dict[str, bool] | None, stops: int
) -> None:
    """With one line a listener, one stop and status 1; the process of somebody else is left running."""
    attempts: list[Deferred[Any]] = []
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)

    def listen(_endpoint: TCP4ServerEndpoint, _factory: object) -> Deferred[Any]:
        attempts.append(Deferred())
        return attempts[-1]

    monkeypatch.setattr(TCP4ServerEndpoint, "listen", listen)
    memory = StoppableReactor()
    service = makeService(parse("--listen=tcp:1", "--listen=tcp:2", twistd=twistd), memory)
    service.privilegedStartService()
    service.startService()
    for attempt in attempts:
        attempt.errback(RuntimeError("too late"))
    lines = [line for line in logged if "--listen" in line]
    assert lines == [f"--listen tcp:{number}: RuntimeError: too late" for number in (1, 2)]
    for when_running, arguments, more in memory.whenRunningHooks:
        when_running(*arguments, **more)
    assert memory.stops == stops
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    for call in at_exit:
        call()
    assert statuses == [1] * stops


def test_policy_file_is_reloaded_into_the_gateway(
    tmp_path: Path, made: list[Gateway], logged: list[str]
) -> None:
    """With the rules of the command line, as at the start."""
    path = tmp_path / "policy"
    path.write_text("allow 10.0.0.0/8\n")
    service = makeService(parse("--policy", str(path), "--deny=10.1.0.0/16"), MemoryReactorClock())
    (gateway,) = made
    assert [rule.text for rule in gateway.policy.allow] == ["10.0.0.0/8"]
    path.write_text("allow public\n")
    reload = cast(Any, service).reload
    reload()
    assert [rule.text for rule in gateway.policy.allow] == ["public"]
    assert "policy reloaded: 1 allow rule, 1 deny rule" in logged


def test_broken_policy_file_changes_nothing(tmp_path: Path, logged: list[str]) -> None:
    """The log has the file and the number of the line, or the system's reason."""
    path = tmp_path / "policy"
    path.write_text("allow 10.0.0.0/8\n")
    service = makeService(parse("--policy", str(path)), MemoryReactorClock())
    reload = cast(Any, service).reload
    path.write_text("allow public\nnonsense\n")
    reload()
    path.unlink()
    reload()
    start = f"policy not reloaded, the previous one stays in force: {path}: "
    assert [line.startswith(start) for line in logged] == [True, True]
    assert "line 2: " in logged[0]
    assert "No such file" in logged[1]


def test_targets_are_reloaded_into_the_gateway(
    tmp_path: Path, made: list[Gateway], logged: list[str]
) -> None:
    """A broken file changes nothing, and the log has the file and the number of the line."""
    path = tmp_path / "targets"
    path.write_text("db: 10.0.0.5:5432\n")
    service = makeService(parse("--target-file", str(path), "--target=a=unix:/run/a"), MemoryReactorClock())
    (gateway,) = made
    reload = cast(Any, service).reload
    path.write_text("db: 10.0.0.6:5432\nmail: tls:mail.example.com:993\n")
    reload()
    path.write_text("db: 10.0.0.7:5432\nnonsense\n")
    reload()
    assert sorted(map(str, gateway.targets.by_name.values())) == [
        "a (unix:/run/a)",
        "db (10.0.0.6:5432)",
        "mail (tls:mail.example.com:993)",
    ]
    assert logged == [
        "target list reloaded: 3 targets",
        f"target list not reloaded, the previous one stays in force: --target-file {path}: line 2: "
        "expected NAME: HOST:PORT, got 'nonsense'",
    ]


def test_certificates_are_reloaded_into_every_listener(tmp_path: Path, logged: list[str]) -> None:
    """The log has the names and the end; files that don't belong together change nothing."""
    world = World()
    options = [*tls_options(tmp_path), "--listen=tls+haproxy:tcp:1", "--no-auth"]
    service = makeService(parse(*options), world.reactor)
    service.privilegedStartService()
    service.startService()
    reload = cast(Any, service).reload
    plain, behind_proxy = (server[1] for server in world.reactor.tcpServers)
    logged.clear()

    def served() -> list[x509.Certificate]:
        found = []
        for world.site, before in ((plain, b""), (behind_proxy, b"PROXY TCP4 192.0.2.9 192.0.2.2 5 443\r\n")):
            client = TLSClient(world)
            client.transport.send(before) if before else None
            found.append(client.shake_hands().server_chain[0])
        return found

    assert served() == [GATEWAY.chain[0]] * 2
    renewed = MIDDLE.issue("gateway.example", ends=7.5 * DAY)
    (tmp_path / "server.pem").write_bytes(renewed.pem)
    reload()
    assert served() == [GATEWAY.chain[0]] * 2
    renewed.write(tmp_path)
    reload()
    assert served() == [renewed.chain[0]] * 2
    broken, valid = (line for line in logged if line.startswith("TLS configuration"))
    assert broken.startswith(
        f"TLS configuration not reloaded, the previous one stays in force: --tls-key {tmp_path}/server.key: "
    )
    assert valid.startswith("TLS configuration reloaded: gateway.example until ")
    assert valid.endswith(", in 7 days")


@pytest.mark.parametrize(
    ("descriptors", "options", "bounds"),
    [
        (1000, [], (400, 150, 10)),
        (100_000, [], (10_000, 2000, 256)),
        (1000, ["--max-tunnels=0"], (0, 150, 10)),
        (1000, ["--max-waiting=0"], (400, 0, 10)),
        (1000, ["--max-downloads=0"], (400, 150, 0)),
        (1000, ["--max-tunnels=7", "--max-waiting=9"], (7, 9, 10)),
        (2, [], (1, 1, 1)),
        (resource.RLIM_INFINITY, [], (10_000, 2000, 256)),
    ],
)
def test_tunnels_are_bounded_by_the_file_descriptors(
    monkeypatch: pytest.MonkeyPatch,
    made: list[Gateway],
    descriptors: int,
    options: list[str],
    bounds: tuple[int, int, int],
) -> None:
    """40 % of them, 15 % for connections that wait, and 1 % for downloads."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, descriptors))
    makeService(parse(*options), MemoryReactorClock())
    (limits,) = [gateway._limits for gateway in made]
    assert (limits.max_tunnels, limits.max_waiting, limits.max_downloads) == bounds

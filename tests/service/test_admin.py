"""The admin listener runs with the gateway, and only where other machines can't reach it by accident."""

import re
import time
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from cryptography import x509
from twisted.application.service import IService
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.python import usage

from portofcall.service.listener import NotListening
from portofcall.service.maker import makeService
from portofcall.service.option_warnings import option_warnings
from portofcall.service.options import Options
from portofcall.testing import upgrade_request
from tests.loopback import Collector, echo_server, exchange, reactor
from tests.service.support import parse, stop
from tests.support import basic, need_prometheus
from tests.tls_client import GATEWAY, ROOT

LISTEN = "--listen=tcp:0:interface=127.0.0.1"


@pytest.fixture(autouse=True)
def _prometheus() -> None:
    """All of these need it."""
    need_prometheus()


def started(*arguments: str) -> IService:
    """Make a service, and start it."""
    service = makeService(parse(LISTEN, *arguments))
    service.privilegedStartService()
    service.startService()
    return service


async def connected(path: Path) -> Collector:
    """Connect to a UNIX socket."""
    client = Collector()
    await connectProtocol(UNIXClientEndpoint(reactor, str(path)), client)
    return client


async def get(path: Path, target: str, **headers: str) -> bytes:
    """Make a request to a listener on a UNIX socket; return the response as far as its head."""
    lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return await exchange(f"unix:{path}", "\r\n".join([*lines, "", ""]).encode())


@pytest_twisted.ensureDeferred
async def test_it_listens_while_the_service_runs(tmp_path: Path) -> None:
    """With metrics of this gateway, and with its tunnels."""
    path = tmp_path / "admin"
    service = started(f"--admin=unix:{path}")
    assert (await get(path, "/metrics")).startswith(b"HTTP/1.1 200 ")
    assert (await get(path, "/tunnels")).startswith(b"HTTP/1.1 200 ")
    assert (await get(path, "/api/ping")).startswith(b"HTTP/1.1 404 ")
    await stop(service)
    assert not path.exists()


@pytest_twisted.ensureDeferred
async def test_operators_have_passwords_of_their_own(tmp_path: Path) -> None:
    """Those of the gateway's clients open nothing here."""
    path = tmp_path / "admin"
    service = started(f"--admin=unix:{path}", "--admin-auth=memory:ops:secret", "--auth=memory:ada:lovelace")
    for login, status in (("ops", "secret"), b"200"), (("ada", "lovelace"), b"401"):
        response = await get(path, "/metrics", Authorization=basic(*login)[0].decode())
        assert response.split()[1] == status
    await stop(service)


@pytest_twisted.ensureDeferred
async def test_exposed_admin_listener_needs_credentials_of_its_own() -> None:
    """Those of clients and --no-auth are not enough."""
    for more in ([], ["--no-auth"], ["--auth=memory:ada:lovelace"]):
        service = makeService(parse(LISTEN, "--admin=tcp:0", *more))
        with pytest.raises(NotListening, match=r"^--admin tcp:0: .* add --admin-auth$"):
            service.privilegedStartService()
        await stop(service)
    service = started("--admin=tcp:0", "--admin-auth=memory:ops:secret")
    await stop(service)


@pytest_twisted.ensureDeferred
async def test_client_certificate_is_no_credential_of_an_operator(tmp_path: Path) -> None:
    """Whoever may open tunnels with one may not end those of others."""
    certificate, key = GATEWAY.write(tmp_path)
    service = makeService(
        parse(
            LISTEN,
            "--admin=tls+tcp:0",
            f"--tls-cert={certificate}",
            f"--tls-key={key}",
            f"--tls-client-ca={certificate}",
        )
    )
    with pytest.raises(NotListening, match=r"add --admin-auth$"):
        service.privilegedStartService()
    await stop(service)


@pytest_twisted.ensureDeferred
async def test_admin_listener_is_no_target(tmp_path: Path) -> None:
    """However the policy reads: a client could end the tunnels of others through it."""
    path = tmp_path / "admin"
    service = started(f"--admin=unix:{path}", f"--target=admin=unix:{path}", f"--listen=unix:{tmp_path}/gw")
    client = await connected(tmp_path / "gw")
    cast(Any, client.transport).write(upgrade_request("target=admin"))
    await client.until(lambda data: b"blocked: admin is this gateway itself" in data)
    cast(Any, client.transport).abortConnection()
    await stop(service)


@pytest_twisted.ensureDeferred
async def test_it_stays_until_the_last_tunnel_is_closed(tmp_path: Path) -> None:
    """The operator sees how far a drain is, and can end what it waits for."""
    path, gateway = tmp_path / "admin", tmp_path / "gw"
    async with echo_server() as echo:
        service = started(
            f"--admin=unix:{path}", f"--listen=unix:{gateway}", f"--allow=127.0.0.1:{echo}", "--drain=60"
        )
        client = await connected(gateway)
        cast(Any, client.transport).write(upgrade_request(f"host=127.0.0.1&port={echo}"))
        await client.until(lambda data: b"101 Switching" in data)
        stopping = cast(Any, service).stopService()
        admin = await connected(path)
        cast(Any, admin.transport).write(
            b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nDELETE /tunnels?client=local HTTP/1.1\r\n"
            b"Host: localhost\r\n\r\n"
        )
        response = await admin.until(lambda data: b'"ended": 1' in data)
        assert b"\nportofcall_draining 1.0\n" in response
        await client.until(lambda data: b"ended-by-operator" in data)
        cast(Any, client.transport).abortConnection()
        await stopping.addTimeout(10, reactor)
        assert not path.exists()


def ends(certificate: x509.Certificate) -> float:
    """Return when a certificate ends, in seconds since 1970."""
    return certificate.not_valid_after_utc.timestamp()


@pytest_twisted.ensureDeferred
async def test_end_of_certificates_and_reloads_are_shown(tmp_path: Path) -> None:
    """By their files, those of the client's authorities too; a failed reload shows until one succeeds."""
    certificate, key = GATEWAY.write(tmp_path)
    authority = ROOT.write(tmp_path)
    path, policy = tmp_path / "admin", tmp_path / "policy"
    policy.write_text("allow public\n")
    service = started(
        *(f"--admin=unix:{path}", f"--policy={policy}", "--listen=tls+tcp:0:interface=127.0.0.1"),
        *(f"--tls-cert={certificate}", f"--tls-key={key}", f"--tls-client-ca={authority}"),
    )

    async def scrape() -> str:
        client = await connected(path)
        cast(Any, client.transport).write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = await client.until(lambda data: data.endswith(b"\n") and b"process_max_fds " in data)
        cast(Any, client.transport).abortConnection()
        return data.decode()

    text = await scrape()
    for file, first in (certificate, min(GATEWAY.chain, key=ends)), (authority, ROOT.certificate):
        found = re.search(f'^portofcall_certificate_expiry_seconds{{certificate="{file}"}} (.+)', text, re.M)
        assert found
        assert float(found[1]) == pytest.approx(ends(first) - time.time(), abs=60)
    assert "\nportofcall_config_reload_success 1.0\n" in text
    for content, shown in ("nonsense\n", "0.0"), ("allow public\n", "1.0"):
        policy.write_text(content)
        cast(Any, service).reload()
        assert f"\nportofcall_config_reload_success {shown}\n" in await scrape()
    await stop(service)


@pytest_twisted.ensureDeferred
async def test_refusals_are_counted_and_their_sums_are_logged_at_the_end(
    tmp_path: Path, logged: list[str]
) -> None:
    """Those of the admin listener itself: someone guesses a password, or a page tries to get in."""
    path = tmp_path / "admin"
    service = started(f"--admin=unix:{path}", "--admin-auth=memory:ops:secret")
    for _ in range(12):
        assert (await get(path, "/metrics", Origin="https://x.example")).split()[1] == b"403"
    assert (await get(path, "/nothing")).split()[1] == b"401"
    client = await connected(path)
    login = basic("ops", "secret")[0]
    cast(Any, client.transport).write(
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + login + b"\r\n\r\n"
    )
    text = await client.until(lambda data: data.endswith(b"\n") and b"process_max_fds " in data)
    cast(Any, client.transport).abortConnection()
    assert b'\nportofcall_refused_total{reason="origin-refused"} 12.0\n' in text
    assert b'\nportofcall_auth_failures_total{kind="none"} 1.0\n' in text
    await stop(service)
    assert any(line.endswith(" (and 2 more like this)") for line in logged)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--admin-auth=memory:ops:secret"], "--admin-auth: needs --admin"),
        (
            ["--admin=unix:/x", "--admin-auth=banana:secret"],
            "--admin-auth: expected a method that --help-auth lists, with its argument, got 'banana:...'",
        ),
        (["--admin=banana:1"], "--admin: expected"),
        (["--admin=unix:/x", "--admin=unix:/y"], "--admin: expected once"),
        (["--admin=tls+tcp:0"], "--admin tls+tcp:0: needs a certificate, --tls-cert"),
    ],
)
def test_invalid_options_are_one_line(arguments: list[str], error: str) -> None:
    """Which never has a password in it."""
    with pytest.raises(usage.UsageError) as caught:
        parse(LISTEN, *arguments)
    assert str(caught.value).startswith(error)
    assert "secret" not in str(caught.value)


def test_password_file_is_read_at_the_start(tmp_path: Path) -> None:
    """A missing one is an error then, and not the operator's surprise later."""
    file = tmp_path / "operators"
    arguments = [LISTEN, "--admin=unix:/x", f"--admin-auth=file:{file}"]
    with pytest.raises(usage.UsageError, match=f"^--admin-auth file:{file}: "):
        parse(*arguments)
    file.write_text("ops:secret\n")
    file.chmod(0o644)
    options = parse(*arguments)
    assert list(option_warnings(options)) == [
        f"--admin-auth file:{file}: readable by every user of this host; chmod o-r it"
    ]


def test_missing_dependency_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is missed without the option."""
    monkeypatch.setattr("portofcall.service.admin_options.find_spec", lambda name: None)
    assert isinstance(parse(LISTEN), Options)
    with pytest.raises(usage.UsageError, match=r"needs prometheus-client, which .* portofcall\[admin\]"):
        parse(LISTEN, "--admin=unix:/x")

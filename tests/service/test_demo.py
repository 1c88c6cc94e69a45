"""The demo is something to try a gateway with, and opens nothing else."""

from pathlib import Path

import pytest_twisted

from portofcall.service.maker import makeService
from tests.loopback import echo_through, exchange
from tests.service.support import parse, stop


@pytest_twisted.ensureDeferred
async def test_demo_allows_only_its_three_servers(logged: list[str]) -> None:
    """The log shows what to try, and it works."""
    service = makeService(parse("--demo", "--listen", "tcp:0:interface=127.0.0.1"))
    service.privilegedStartService()
    service.startService()
    demos = {line.split()[1]: line.split()[-1] for line in logged if line.startswith("demo ")}
    assert list(demos) == ["echo", "discard", "chargen"]
    base, _, query = demos["echo"].removeprefix("ws://").partition("/api/connect?")
    host, _, port = base.partition(":")
    await echo_through(f"tcp:{host}:{port}", "/api/connect", int(query.rpartition("=")[2]))
    body = b'{"host": "127.0.0.1", "port": 1}'
    ping = b"POST /api/ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    assert b'"code": "blocked"' in await exchange(f"tcp:{host}:{port}", ping)
    await stop(service)


@pytest_twisted.ensureDeferred
async def test_demo_on_a_listener_without_a_url(tmp_path: Path, logged: list[str]) -> None:
    """A UNIX socket has no URL for clients: the log leaves its place open."""
    service = makeService(parse("--demo", "--listen", f"unix:{tmp_path / 'socket'}"))
    service.privilegedStartService()
    service.startService()
    demos = [line for line in logged if line.startswith("demo ")]
    assert len(demos) == 3
    assert all(" try ws://GATEWAY/api/connect?host=127.0.0.1&port=" in line for line in demos)
    await stop(service)

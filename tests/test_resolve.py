"""Names are resolved by the operating system, off the reactor's threads."""

import socket
import threading
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from portofcall.resolve import ThreadedResolver


@pytest_twisted.ensureDeferred
async def test_loopback_has_its_addresses() -> None:
    """An answer is a list of addresses, each once."""
    from twisted.internet import reactor

    resolver = ThreadedResolver(reactor)
    addresses = await resolver.resolve("localhost")
    resolver.stop()
    assert "127.0.0.1" in [str(address) for address in addresses]
    assert len(addresses) == len(set(addresses))


@pytest_twisted.ensureDeferred
async def test_unknown_name_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system's error is passed on."""
    from twisted.internet import reactor

    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    resolver = ThreadedResolver(reactor)
    with pytest.raises(OSError, match="not known"):
        await resolver.resolve("nowhere.example.com")
    resolver.stop()


@pytest_twisted.ensureDeferred
async def test_stuck_look_ups_do_not_block_others_or_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten stuck names leave threads for the next one, and stopping does not wait for them."""
    from twisted.internet import reactor

    release = threading.Event()

    def look_up(name: str, *_: Any, **__: Any) -> Any:
        if name == "stuck":
            release.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    resolver = ThreadedResolver(reactor)
    stuck = [resolver.resolve("stuck") for _ in range(10)]
    assert [str(address) for address in await resolver.resolve("quick")] == ["192.0.2.7"]
    resolver.stop()
    assert not any(deferred.called for deferred in stuck)
    release.set()
    await gatherResults(stuck)
    resolver.stop()

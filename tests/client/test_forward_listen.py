"""Which sockets a rule opens."""

import errno
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from portofcall.client.forward_listen import listen
from portofcall.client.forward_rules import Rule
from portofcall.client.forwarder import describe
from portofcall.client.problem import Problem
from tests.client.support import result


class WithoutIPv6(MemoryReactor):
    """A machine on which only IPv4 can be listened on."""

    error = errno.EAFNOSUPPORT

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if ":" in interface:
            raise CannotListenError(interface, port, OSError(self.error, "no IPv6"))
        return super().listenTCP(port, factory, backlog, interface)


class WithTakenIPv6(WithoutIPv6):
    """One on which another program listens on IPv6."""

    error = errno.EADDRINUSE


def listening(reactor: Any, text: str) -> Any:
    """Listen on a rule; return the ports, or raise the problem."""
    found = result(Deferred.fromCoroutine(listen(reactor, Rule.dynamic(text), Factory())))
    if isinstance(found, Exception):
        raise found
    return found


def opened(reactor: Any, text: str) -> list[tuple[int, str]]:
    """Listen on a rule; return the port and the address of each listener."""
    listening(reactor, text)
    return [(port, interface) for port, _, _, interface in reactor.tcpServers]


@pytest.mark.parametrize(
    ("text", "both", "alone"),
    [
        ("1080", [(1080, "127.0.0.1"), (1080, "::1")], [(1080, "127.0.0.1")]),
        ("*:1080", [(1080, "::")], [(1080, "")]),
        ("127.0.0.2:1080", [(1080, "127.0.0.2")], [(1080, "127.0.0.2")]),
        ("[::1]:1080", [(1080, "::1")], None),
    ],
)
def test_families(text: str, both: list[tuple[int, str]], alone: list[tuple[int, str]] | None) -> None:
    """IPv6 is left out where the machine has none, unless it is asked for."""
    assert opened(MemoryReactor(), text) == both
    if alone is None:
        with pytest.raises(Problem, match=r"can't listen on \[::1\]:1080: no IPv6"):
            opened(WithoutIPv6(), text)
    else:
        assert opened(WithoutIPv6(), text) == alone


def test_a_port_that_is_taken_in_one_family_is_a_problem() -> None:
    """A program that connects to localhost must not find the other one."""
    with pytest.raises(Problem, match="cannot-listen"):
        opened(WithTakenIPv6(), "1080")


def test_a_unix_socket_is_for_its_owner(tmp_path: Path) -> None:
    """From the moment that it exists; one that was left behind is replaced."""
    reactor: Any = MemoryReactor()
    (port,) = listening(reactor, str(tmp_path / "socks"))
    ((address, _, _, mode, replaces),) = reactor.unixServers
    assert (address, mode, bool(replaces)) == (str(tmp_path / "socks"), 0o600, True)
    assert describe(port.getHost()) == str(tmp_path / "socks")

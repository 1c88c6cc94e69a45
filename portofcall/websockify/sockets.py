"""The listening socket, opened before the process goes to the background."""

import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory

from portofcall.egress.loop_guard import LoopGuard
from portofcall.twisted_internals import adopt_unix_socket
from portofcall.websockify.settings import (
    Listen,
    ListenInherited,
    ListenTCP,
    ListenUNIX,
    NotListening,
    SettingsError,
)

_BACKLOG: Final = 1024
_STANDARD_INPUT: Final = 0


def open_socket(listen: Listen) -> socket.socket:
    """Listen. As with websockify, a host with several addresses gives one: IPv4's, unless IPv6 is preferred.

    Raises:
        SettingsError: that is not possible.
    """
    try:
        match listen:
            case ListenInherited():
                return _inherited()
            case ListenUNIX():
                return _unix(listen)
            case _:
                return _tcp(listen)
    except OSError as problem:
        raise NotListening(f"could not listen on {listen}: {problem.strerror or problem}") from None


def _tcp(listen: ListenTCP) -> socket.socket:
    found = socket.getaddrinfo(
        listen.host or None, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, address = sorted(found, key=lambda each: each[0], reverse=listen.prefers_ipv6)[0]
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def _unix(listen: ListenUNIX) -> socket.socket:
    # That of a process that has ended, as a rule. Anything else than a socket stays, and is in the way.
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(listen.path).st_mode):
            os.unlink(listen.path)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~listen.mode)
    try:
        opened.bind(listen.path)
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    finally:
        os.umask(before)
    return opened


def _inherited() -> socket.socket:
    descriptor = os.dup(_STANDARD_INPUT)
    try:
        opened = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        raise SettingsError("--inetd: expected a listening socket as the standard input") from None
    listens = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens or opened.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        opened.close()
        raise SettingsError("--inetd: expected a listening socket as the standard input")
    return opened


class Listening(Service):
    """Accepts connections from a socket while it runs.

    Args:
        reactor: accepts them.
        opened: the listening socket.
        factory: serves the connections.
        loop_guard: gets the address, so that no tunnel leads back here.
        removes: the path of a UNIX socket that is removed at the end; None removes nothing.

    Attributes:
        address: where it listens, once it runs.
    """

    address: IAddress

    name = "listener"

    def __init__(
        self,
        reactor: Any,
        opened: socket.socket,
        factory: IProtocolFactory,
        loop_guard: LoopGuard,
        *,
        removes: str | None = None,
    ) -> None:
        self._reactor = reactor
        self._socket = opened
        self._factory = factory
        self._loop_guard = loop_guard
        self._removes = removes
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Accept connections."""
        super().startService()
        opened = self._socket
        opened.setblocking(False)
        if opened.family == socket.AF_UNIX:
            port = adopt_unix_socket(self._reactor, opened.fileno(), self._factory, backlog=_BACKLOG)
        else:
            port = self._reactor.adoptStreamPort(opened.fileno(), opened.family, self._factory)
        self._port = port
        # The reactor has a copy of the descriptor.
        opened.close()
        host = self.address = port.getHost()
        if isinstance(host, IPv4Address | IPv6Address):
            self._loop_guard.add(host.host, host.port)
        elif isinstance(host, UNIXAddress) and host.name:
            self._loop_guard.add_path(os.fsdecode(host.name))

    def stopService(self) -> Deferred[None]:
        """Stop; open connections stay open. The address stays in the loop guard, which costs nothing."""
        super().stopService()
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        if self._removes is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._removes)
        return maybeDeferred(cast("Callable[[], None]", port.stopListening))

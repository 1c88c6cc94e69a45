"""The gateway's own listeners: no client may make it dial itself."""

import errno
import os
import socket
from collections.abc import Callable
from ipaddress import ip_address

from portofcall.target import Address, unmapped


def is_local(address: Address) -> bool:
    """Return whether ``address`` is one of this host's (tested by binding).

    If binding cannot be tried, for example because no descriptors are left, assume that it is.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as problem:
        return problem.errno != errno.EADDRNOTAVAIL
    return True


class LoopGuard:
    """The addresses and ports that the gateway listens on.

    A gateway that dials itself becomes its own client: past the checks of a proxy in front, and without end,
    each tunnel inside another one.

    Args:
        is_local: returns whether an address is one of this host's; a listener on a wildcard has them all.
    """

    def __init__(self, is_local: Callable[[Address], bool] = is_local) -> None:
        self._is_local = is_local
        self._listening: list[tuple[Address, int]] = []
        self._paths: list[str] = []

    def add(self, host: str, port: int) -> None:
        """Add a listener; a wildcard address stands for every address of this host."""
        self._listening.append((unmapped(ip_address(host)), port))

    def discard(self, host: str, port: int) -> None:
        """Remove a listener."""
        self._listening.remove((unmapped(ip_address(host)), port))

    def add_path(self, path: str) -> None:
        """Add a listener on a UNIX socket."""
        self._paths.append(path)

    def discard_path(self, path: str) -> None:
        """Remove a listener on a UNIX socket."""
        self._paths.remove(path)

    def includes_path(self, path: str) -> bool:
        """Return whether a path leads to a UNIX socket of the gateway, through links too."""
        return any(_same_file(path, own) for own in self._paths)

    def include(self, address: Address, port: int) -> bool:
        """Return whether a connection to ``address`` and ``port`` would reach the gateway."""
        plain = unmapped(address)
        return any(
            own_port == port
            # A connection to the unspecified address goes to this host.
            and (own == plain or plain.is_unspecified or (own.is_unspecified and self._is_local(plain)))
            for own, own_port in self._listening
        )


def _same_file(path: str, own: str) -> bool:
    try:
        return os.path.samefile(path, own)
    except OSError:
        # A socket that is not there can't be connected to either.
        return False

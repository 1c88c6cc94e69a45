"""The names that ``/etc/hosts`` lists (hosts(5)), read again whenever the file has changed."""

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from threading import Lock

from portofcall.target import Address

_Stamp = tuple[int, int, int]


class HostsFile:
    """Answers from one hosts file; may be asked in any thread.

    The file is kept in memory, because some have 100000 lines of names to block, and a look-up happens for
    every dial.

    Args:
        path: of the file. A file that does not exist lists no names.
    """

    def __init__(self, path: Path = Path("/etc/hosts")) -> None:
        self._path = path
        self._lock = Lock()
        self._stamp: _Stamp | None = None
        self._names: dict[str, list[Address]] = {}

    def addresses(self, name: str) -> Sequence[Address]:
        """Return the addresses of ``name``, in the order of the file; none if it is not listed.

        Args:
            name: in lower case, without a trailing dot.

        Raises:
            OSError: the file is there and can't be read.
        """
        with self._lock:
            try:
                status = self._path.stat()
                stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
                if stamp != self._stamp:
                    self._names = parse_hosts(self._path.read_text("utf-8", errors="replace"))
                    self._stamp = stamp
            except FileNotFoundError:
                self._names, self._stamp = {}, None
            return tuple(self._names.get(name, ()))


def parse_hosts(text: str) -> dict[str, list[Address]]:
    """Parse a hosts file: an address and its names per line, and comments from ``#`` on.

    Returns:
        The addresses of each name, in lower case. Lines without a valid address are skipped, as glibc does.
    """
    names: dict[str, list[Address]] = {}
    for line in text.split("\n"):
        fields = line.partition("#")[0].split()
        try:
            address = ip_address(fields[0].partition("%")[0]) if fields else None
        except ValueError:
            continue
        if address is not None:
            for name in fields[1:]:
                found = names.setdefault(name.lower(), [])
                if address not in found:
                    found.append(address)
    return names

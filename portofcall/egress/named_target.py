"""Targets that the operator gave a name to: clients ask for the name, and see nothing of what it leads to.

::

    NAME=HOST:PORT                       a TCP port
    NAME=unix:PATH                       a UNIX socket
    NAME=tls:HOST:PORT[:cafile=PATH]     a TCP port, with TLS from the gateway to it

A file has lines of ``NAME: VALUE`` instead. IPv6 addresses are in brackets, paths are absolute.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from portofcall.egress.line_file import numbered_lines, read_text
from portofcall.errors import InvalidTarget, UnknownTarget, printable
from portofcall.target import Requested, Target, TargetName

#: The longest path of a UNIX socket, in bytes (``sun_path`` of Linux, less its NUL).
MAX_SOCKET_PATH_BYTES: Final = 107

_LINE: Final = re.compile(r"(?P<name>[^:]*?)[ \t]*:[ \t]+(?P<value>\S.*)")
_CAFILE: Final = ":cafile="
_SHOWN: Final = 60


class TargetsError(ValueError):
    """A named target is not valid. The message is one line: what was expected, and the text in its place."""


@dataclass(frozen=True, slots=True)
class TLSTrust:
    """What the certificate of a TLS target is verified against, in addition to its host.

    Attributes:
        authorities: certificates in PEM; None means those of the platform.
    """

    authorities: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """A target with a name. Make it with `parse`; the constructor checks nothing.

    Attributes:
        name: what clients ask for.
        place: host and port, or the path of a UNIX socket.
        tls: None means that the gateway speaks no TLS to it.
    """

    name: TargetName
    place: Target | PurePosixPath
    tls: TLSTrust | None = None

    @classmethod
    def parse(cls, text: str) -> "NamedTarget":
        """Parse ``NAME=VALUE``, in the grammar of this module. The file of ``cafile`` is read.

        Raises:
            TargetsError: the text is not a named target, or ``cafile`` has no certificates.
        """
        name, equals, value = text.partition("=")
        if not equals:
            raise TargetsError(
                "expected NAME=HOST:PORT, NAME=unix:PATH or NAME=tls:HOST:PORT, "
                f"got '{printable(text, _SHOWN)}'"
            )
        return cls.of(name, value)

    @classmethod
    def of(cls, name: str, value: str) -> "NamedTarget":
        """Parse a name and its value; see `parse`."""
        try:
            parsed = TargetName.parse(name)
            kind, _, rest = value.partition(":")
            if kind == "unix":
                return cls(parsed, _parse_socket_path(rest))
            if kind == "tls":
                where, given, cafile = rest.partition(_CAFILE)
                return cls(parsed, _parse_tcp(where), TLSTrust(_read_authorities(cafile) if given else None))
            return cls(parsed, _parse_tcp(value))
        except InvalidTarget as problem:
            raise TargetsError(problem.sentence.removeprefix("target: ")) from None

    def __str__(self) -> str:
        """The name and what it leads to, for the log."""
        kind = "unix:" if isinstance(self.place, PurePosixPath) else "tls:" if self.tls else ""
        return f"{self.name} ({kind}{printable(str(self.place))})"


@dataclass(frozen=True, slots=True)
class Targets:
    """An immutable set of named targets. Make it with `parse` or `of`; empty means that no name is known.

    Attributes:
        by_name: the targets.
    """

    by_name: Mapping[TargetName, NamedTarget] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Targets":
        """Parse targets such as ``db=10.0.0.5:5432``; `portofcall.egress.named_target` has the grammar.

        Raises:
            TargetsError: a text is not a named target, or a name is given twice.
            TypeError: one string instead of a collection of them.
        """
        if isinstance(texts, str):
            raise TypeError("expected a collection of named targets, got one string")
        return cls.of(NamedTarget.parse(text) for text in texts)

    @classmethod
    def of(cls, targets: Iterable[NamedTarget]) -> "Targets":
        """Collect targets.

        Raises:
            TargetsError: a name is given twice.
        """
        by_name: dict[TargetName, NamedTarget] = {}
        for target in targets:
            if by_name.setdefault(target.name, target) is not target:
                raise TargetsError(f"expected each name once, got {target.name} again")
        return cls(MappingProxyType(by_name))

    def find(self, name: TargetName) -> NamedTarget:
        """Return the target with this name.

        Raises:
            UnknownTarget: there is none.
        """
        try:
            return self.by_name[name]
        except KeyError:
            raise UnknownTarget(f"there is no target {name}") from None

    def describe(self, target: Requested) -> str:
        """Write a target for the log: a name with what it leads to."""
        return str(self.by_name.get(target, target) if isinstance(target, TargetName) else target)


def read_targets(path: Path, others: Targets) -> Targets:
    """Read the named targets of a file: at the start, and at each reload.

    Args:
        path: a regular file in UTF-8 with at least one line ``NAME: VALUE``; ``#`` begins a comment, at the
            start of a line or after white space.
        others: targets to add to those of the file.

    Raises:
        TargetsError: the file can't be read, has no target (such a file is seldom meant, and often half
            written), a line of it is not one, or its name is there already.
    """
    targets = dict(others.by_name)
    lines = numbered_lines(read_text(path, TargetsError), TargetsError)
    if not lines:
        raise TargetsError("expected at least one target")
    for number, line in lines:
        try:
            target = _parse_line(line)
        except TargetsError as problem:
            raise TargetsError(f"line {number}: {problem}") from None
        if targets.setdefault(target.name, target) is not target:
            raise TargetsError(f"line {number}: expected each name once, got {target.name} again")
    return Targets.of(targets.values())


def read_all_targets(texts: Iterable[str], path: Path | None) -> Targets:
    """Read the targets of ``--target``, and those that the file of ``--target-file`` has now.

    Args:
        texts: see `Targets.parse`.
        path: see `read_targets`; None means no file.

    Raises:
        TargetsError: one is not valid; the message begins with the option, and the file where it has one.
    """
    option = "--target"
    try:
        targets = Targets.parse(texts)
        if path is not None:
            option = f"--target-file {printable(str(path))}"
            targets = read_targets(path, targets)
    except TargetsError as problem:
        raise TargetsError(f"{option}: {problem}") from None
    return targets


def _parse_line(line: str) -> NamedTarget:
    match = _LINE.fullmatch(line)
    if match is None:
        raise TargetsError(f"expected NAME: HOST:PORT, got '{printable(line, _SHOWN)}'")
    return NamedTarget.of(match["name"], match["value"])


def _parse_tcp(text: str) -> Target:
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        raise TargetsError(f"expected HOST:PORT, IPv6 in brackets, got '{printable(text, _SHOWN)}'")
    return Target.parse(host, port)


def _parse_socket_path(text: str) -> PurePosixPath:
    if not text.startswith("/") or not text.isprintable():
        raise TargetsError(f"unix: expected an absolute path, got '{printable(text, _SHOWN)}'")
    size = len(text.encode())
    if size > MAX_SOCKET_PATH_BYTES:
        raise TargetsError(f"unix: expected a path of at most {MAX_SOCKET_PATH_BYTES} bytes, got {size}")
    return PurePosixPath(text)


def _read_authorities(text: str) -> tuple[bytes, ...]:
    if not text.startswith("/"):
        raise TargetsError(f"cafile: expected an absolute path, got '{printable(text, _SHOWN)}'")
    try:
        content = read_text(Path(text), TargetsError)
        certificates = x509.load_pem_x509_certificates(content.encode())
    except TargetsError as problem:
        raise TargetsError(f"cafile: {problem}, got '{printable(text)}'") from None
    except ValueError:
        raise TargetsError(f"cafile: expected certificates in PEM, got '{printable(text)}'") from None
    return tuple(certificate.public_bytes(Encoding.PEM) for certificate in certificates)

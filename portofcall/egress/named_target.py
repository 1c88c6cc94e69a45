"""Targets that the operator gave a name to: clients ask for the name, and see nothing of what it leads to.

::

    NAME=HOST:PORT                       a TCP port
    NAME=unix:PATH                       a UNIX socket
    NAME=tls:HOST:PORT[:cafile=PATH]     a TCP port, with TLS from the gateway to it

IPv6 addresses are in brackets, paths are absolute. `portofcall.egress.target_file` reads files of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from portofcall.egress.line_file import read_text
from portofcall.errors import InvalidTarget, UnknownTarget, UnknownToken, printable
from portofcall.target import Target, TargetName, Token, Wanted

#: The longest path of a UNIX socket, in bytes (``sun_path`` of Linux, less its NUL).
MAX_SOCKET_PATH_BYTES: Final = 107

#: The name of a default target that was given by its value.
DEFAULT_NAME: Final = "default"

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
        name: what clients ask for; or a token, which is a secret.
        place: host and port, or the path of a UNIX socket.
        tls: None means that the gateway speaks no TLS to it.
    """

    name: TargetName | Token
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
                return cls(parsed, parse_socket_path(rest))
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
        by_name: the targets with a name, which is shown to clients.
        by_token: those with a token, which is a secret.
        default: the one that clients get which name none; None means that they get none.
    """

    by_name: Mapping[TargetName, NamedTarget] = field(default_factory=lambda: MappingProxyType({}))
    by_token: Mapping[Token, NamedTarget] = field(default_factory=lambda: MappingProxyType({}))
    default: TargetName | None = None

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
            TargetsError: a name or a token is given twice.
        """
        by_name: dict[TargetName, NamedTarget] = {}
        by_token: dict[Token, NamedTarget] = {}
        for target in targets:
            if isinstance(target.name, Token):
                first = by_token.setdefault(target.name, target)
            else:
                first = by_name.setdefault(target.name, target)
            if first is not target:
                raise TargetsError(f"expected each name once, got {target.name} again")
        return cls(MappingProxyType(by_name), MappingProxyType(by_token))

    def all(self) -> list[NamedTarget]:
        """Return all of them."""
        return [*self.by_name.values(), *self.by_token.values()]

    def __len__(self) -> int:
        return len(self.by_name) + len(self.by_token)

    def with_default(self, text: str) -> "Targets":
        """Return these targets with a default.

        Args:
            text: one of their names; or a value in the grammar of this module, which is then the target named
                `DEFAULT_NAME`.

        Raises:
            TargetsError: there is no such name, the value is not valid, or `DEFAULT_NAME` is taken.
        """
        if ":" in text:
            named = NamedTarget.of(DEFAULT_NAME, text)
            assert isinstance(named.name, TargetName)
            return replace(Targets.of([*self.all(), named]), default=named.name)
        name = TargetName(text)
        if name not in self.by_name:
            shown = printable(text, _SHOWN)
            raise TargetsError(f"expected HOST:PORT, unix:PATH, or the name of a target, got '{shown}'")
        return replace(self, default=name)

    def get(self, name: TargetName | Token) -> NamedTarget | None:
        """Return the target with this name or token; None if there is none."""
        return self.by_token.get(name) if isinstance(name, Token) else self.by_name.get(name)

    def find(self, name: TargetName | Token) -> NamedTarget:
        """Return the target with this name or token.

        Raises:
            UnknownTarget: there is none.
            UnknownToken: there is none. The token is not in the message, not even in part.
        """
        found = self.get(name)
        if found is None:
            if isinstance(name, Token):
                raise UnknownToken("there is no target with this token")
            raise UnknownTarget(f"there is no target {name}")
        return found

    def named(self, target: Wanted | NamedTarget) -> NamedTarget | None:
        """Return what a name or a token leads to; a target as it is; None for host and port.

        Raises:
            UnknownTarget: see `find`.
        """
        if isinstance(target, NamedTarget):
            return target
        return None if isinstance(target, Target) else self.find(target)

    def describe(self, target: Wanted | NamedTarget) -> str:
        """Write a target for the log: a name, or a redacted token, with what it leads to."""
        return str(self.get(target) or target if isinstance(target, TargetName | Token) else target)


def _parse_tcp(text: str) -> Target:
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        raise TargetsError(f"expected HOST:PORT, IPv6 in brackets, got '{printable(text, _SHOWN)}'")
    return Target.parse(host, port)


def parse_socket_path(text: str) -> PurePosixPath:
    """Parse the path of a UNIX socket.

    Raises:
        TargetsError: it is not absolute, not printable, or longer than `MAX_SOCKET_PATH_BYTES`.
    """
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

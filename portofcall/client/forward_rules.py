"""Which local listeners lead where: the values of ``-L`` and ``-D``."""

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Final

from portofcall.errors import InvalidTarget
from portofcall.target import Requested, Target, TargetName

_LOCAL: Final = "expected [BIND:]PORT:HOST:PORT, /PATH:HOST:PORT, or NAME in place of HOST:PORT"
_DYNAMIC: Final = "expected [BIND:]PORT or /PATH"
#: Fields that are separated by colons; those in brackets may have some themselves.
_FIELDS: Final = re.compile(r"(\[[^]]*\]|[^:]*)(:|$)")
_PORT: Final = re.compile("[0-9]{1,5}")


class Bind(Enum):
    """Addresses to listen on that stand for several."""

    LOOPBACK = "loopback"
    ALL = "all addresses"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One listener. Make it with `local` or `dynamic`.

    Attributes:
        bind: an IPv4 or IPv6 address, or several of them; meaningless with ``path``.
        port: 0 means any that is free.
        path: of a UNIX socket; empty for TCP.
        target: where its connections go; None means that it is a SOCKS server, whose clients say so.
    """

    bind: str | Bind = Bind.LOOPBACK
    port: int = 0
    path: str = ""
    target: Requested | None = None

    @classmethod
    def local(cls, text: str, *, gateway_ports: bool = False) -> "Rule":
        """Parse the value of ``-L``.

        Args:
            text: ``[BIND:]PORT:HOST:PORT``, ``/PATH:HOST:PORT``, or either with the name of a target in place
                of ``HOST:PORT``. IPv6 addresses have brackets.
            gateway_ports: whether all addresses are listened on if there is no ``BIND``.

        Raises:
            ValueError: it is not that; the message says what was expected.
        """
        fields = _split(text)
        if fields is None or len(fields) < 2:
            raise ValueError(_LOCAL)
        named = not _PORT.fullmatch(fields[-1])
        here, there = (fields[:-1], fields[-1:]) if named else (fields[:-2], fields[-2:])
        try:
            target = TargetName.parse(there[0]) if named else Target.parse(*there)
        except InvalidTarget as error:
            raise ValueError(error.sentence) from None
        return _rule(here, target, expected=_LOCAL, gateway_ports=gateway_ports)

    @classmethod
    def dynamic(cls, text: str, *, gateway_ports: bool = False) -> "Rule":
        """Parse the value of ``-D``: ``[BIND:]PORT`` or ``/PATH``; see `local`."""
        fields = _split(text)
        if fields is None:
            raise ValueError(_DYNAMIC)
        return _rule(fields, None, expected=_DYNAMIC, gateway_ports=gateway_ports)

    @property
    def exposed(self) -> bool:
        """Whether other machines may reach it."""
        if self.path or self.bind is Bind.LOOPBACK:
            return False
        return self.bind is Bind.ALL or not ip_address(str(self.bind)).is_loopback

    def __str__(self) -> str:
        """Where it listens."""
        if self.path:
            return self.path
        if isinstance(self.bind, Bind):
            return f"{'*' if self.bind is Bind.ALL else 'localhost'}:{self.port}"
        return f"[{self.bind}]:{self.port}" if ":" in self.bind else f"{self.bind}:{self.port}"


def _split(text: str) -> list[str] | None:
    """Split at colons; None if a bracket is not closed, or not followed by one."""
    if not text.isascii() or not text.isprintable():
        return None
    fields: list[str] = []
    at, separator = 0, ":"
    while separator:
        match = _FIELDS.match(text, at)
        if match is None:
            return None
        fields.append(match[1])
        at, separator = match.end(), match[2]
    return fields


def _rule(here: list[str], target: Requested | None, *, expected: str, gateway_ports: bool) -> Rule:
    if len(here) == 1 and here[0].startswith("/"):
        return Rule(path=here[0], target=target)
    if not 1 <= len(here) <= 2 or not _PORT.fullmatch(here[-1]) or int(here[-1]) > 65535:
        raise ValueError(expected)
    bind: str | Bind = Bind.ALL if gateway_ports else Bind.LOOPBACK
    if len(here) == 2:
        bind = _bind(here[0])
    return Rule(bind=bind, port=int(here[-1]), target=target)


def _bind(text: str) -> str | Bind:
    if text in ("", "*"):
        return Bind.ALL
    if text == "localhost":
        return Bind.LOOPBACK
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ip_address(bare))
    except ValueError:
        raise ValueError("BIND: expected an address of this machine, localhost, or *") from None

"""The grammar of the operator's rules on where connections may go. `portofcall.egress.policy` applies them.

::

    RULE  = SUBJECT [":" PORTS]
    PORTS = "*" or a list such as "22", "1-1023", "22,443", "8000-8099,22"

    SUBJECT                matches
    public                 every public address, see `portofcall.egress.place`
    10.0.0.0/8, fd00::/8   an address in the block
    10.0.0.1, fd00::1      that address
    host.example           that name
    *.example.com          the names below that domain, not the domain itself
    NAME=BLOCK             that name (or *.domain), when it resolves into that block; for allow only

With ports, IPv6 is in brackets: ``[2001:db8::/32]:22``.
"""

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_network
from typing import NoReturn

from portofcall.errors import InvalidTarget, printable
from portofcall.target import Target, parse_host

#: Longer rules are refused before any work is done on them.
MAX_RULE_CHARACTERS = 1000
#: The port of mail between servers. A gateway that opens it by default sends spam for others.
SMTP_PORT = 25

_SHOWN = 60
_PREFIX = re.compile(r"[0-9]{1,3}")
_PORTS = re.compile(r"(?P<low>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?")


class RuleError(ValueError):
    """A rule is not valid. The message is one line: the rule, and what was expected in its place."""


class Effect(Enum):
    """The effect of a rule on a target that it matches."""

    ALLOW = "allow"
    DENY = "deny"


Ports = tuple[tuple[int, int], ...]

#: The meaning of no PORTS and of "*". Only a rule whose PORTS name port 25 opens it.
_EVERY_PORT: dict[Effect, Ports] = {
    Effect.ALLOW: ((1, SMTP_PORT - 1), (SMTP_PORT + 1, 65535)),
    Effect.DENY: ((1, 65535),),
}


@dataclass(frozen=True, slots=True)
class Block:
    """A range of addresses of one version, as numbers."""

    version: int
    low: int
    high: int

    @property
    def single(self) -> bool:
        """Whether it is exactly one address."""
        return self.low == self.high

    def covers(self, version: int, number: int) -> bool:
        """Whether an address, given as a number, is in the block."""
        return version == self.version and self.low <= number <= self.high


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. With neither name nor block it is ``public``; with both it is ``NAME=BLOCK``.

    Attributes:
        text: the rule as it was written.
        ports: inclusive ranges.
        name: a host name, or ``*.domain``.
        block: the addresses.
    """

    text: str
    ports: Ports
    name: str | None = None
    block: Block | None = None

    def covers_port(self, port: int) -> bool:
        """Whether a port is among those of the rule."""
        return any(low <= port <= high for low, high in self.ports)

    def covers_name(self, host: str) -> bool:
        """Whether the rule names a host, itself or as ``*.domain``."""
        name = self.name or ""
        return host.endswith(name[1:]) if name.startswith("*.") else host == name

    def __str__(self) -> str:
        """The rule in quotes, safe to show and at most 62 characters long."""
        return f'"{printable(self.text, _SHOWN)}"'


def parse_rule(text: str, effect: Effect) -> Rule:
    """Parse one rule, in the grammar of this module. There are no spaces in it.

    Args:
        text: the rule.
        effect: ``NAME=BLOCK`` exists for allow only; no PORTS means every port but 25 for allow, and every
            port for deny.

    Raises:
        RuleError: the text is not a rule.
    """
    if len(text) > MAX_RULE_CHARACTERS:
        _fail(text, f"expected at most {MAX_RULE_CHARACTERS} characters")
    name_text, tie, rest = text.rpartition("=")
    subject, ports_text = _split(text, rest)
    ports = _parse_ports(text, ports_text, effect)
    if tie:
        if effect is Effect.DENY:
            _fail(text, "NAME=BLOCK can only allow; deny the name or the block")
        return Rule(text, ports, _parse_name(text, name_text), _parse_block(text, subject))
    if subject.lower() == "public":
        return Rule(text, ports)
    if subject.startswith("*") or not _looks_like_block(subject):
        return Rule(text, ports, name=_parse_name(text, subject))
    return Rule(text, ports, block=_parse_block(text, subject))


def _split(text: str, rest: str) -> tuple[str, str | None]:
    """Split the subject from its ports, and drop the brackets around IPv6."""
    if rest.startswith("["):
        subject, closed, tail = rest[1:].partition("]")
        if not closed or ":" not in subject or (tail and not tail.startswith(":")):
            _fail(text, 'expected IPv6 as in "[2001:db8::/32]:22", with the whole block in the brackets')
        return subject, tail[1:] if tail else None
    if rest.count(":") > 1:
        return rest, None
    subject, colon, ports = rest.partition(":")
    return subject, ports if colon else None


def _looks_like_block(subject: str) -> bool:
    return "/" in subject or ":" in subject or subject.replace(".", "").isdigit()


def _parse_name(text: str, name: str) -> str:
    star = "*." if name.startswith("*.") else ""
    try:
        target = Target(parse_host(name.removeprefix(star)), 1)
    except InvalidTarget as error:
        _fail(text, error.sentence.removeprefix("host: "))
    if target.address is not None:
        _fail(text, "expected a host name or *.domain, not an address")
    return star + target.host


def _parse_block(text: str, subject: str) -> Block:
    address_text, slash, prefix = subject.partition("/")
    try:
        address = Target(parse_host(address_text), 1).address
    except InvalidTarget:
        address = None
    if address is None or (slash and not _PREFIX.fullmatch(prefix)):
        form = (
            "an IPv6 block, in brackets when ports follow" if ":" in subject else "a block such as 10.0.0.0/8"
        )
        _fail(text, f"expected {form}")
    length = int(prefix) if slash else address.max_prefixlen
    if length > address.max_prefixlen:
        _fail(text, f"expected a prefix length of at most {address.max_prefixlen}")
    network = ip_network(f"{address}/{length}", strict=False)
    if network.network_address != address:
        _fail(text, f"it has host bits set; expected {network}, or {address} for that one address")
    low, high = int(network[0]), int(network[-1])
    # A block of IPv4-mapped addresses is a block of IPv4 addresses.
    if network.version == 6 and network.network_address.ipv4_mapped is not None:
        return Block(4, low & 0xFFFF_FFFF, high & 0xFFFF_FFFF)
    return Block(network.version, low, high)


def _parse_ports(text: str, ports: str | None, effect: Effect) -> Ports:
    if ports is None or ports == "*":
        return _EVERY_PORT[effect]
    return tuple(_parse_range(text, item) for item in ports.split(","))


def _parse_range(text: str, item: str) -> tuple[int, int]:
    match = _PORTS.fullmatch(item)
    low, high = (int(match["low"]), int(match["high"] or match["low"])) if match else (0, 0)
    if not 1 <= low <= high <= 65535:
        _fail(text, 'expected ports from 1 to 65535 such as "22", "1-1023", "22,443" or "*"')
    return low, high


def _fail(text: str, problem: str) -> NoReturn:
    raise RuleError(f'rule "{printable(text, _SHOWN)}": {problem}')

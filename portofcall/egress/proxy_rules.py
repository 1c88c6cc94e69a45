"""Which targets get the header of the PROXY protocol (``--send-proxy``), and in which version. Pure.

::

    VERSION[:RULE]    with RULE as in portofcall.egress.rules, but for NAME=BLOCK

The first one that matches decides. A rule with a name matches the host that was asked for, the name of a
named target, and the host that such a name stands for; one with a block, or ``public``, the address that was
dialled.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.place import locate
from portofcall.egress.proxy_header import ClientConnection, ProxyVersion, own_header, proxy_header
from portofcall.egress.rules import Effect, Rule, RuleError, parse_rule
from portofcall.errors import printable
from portofcall.target import Address, Target, TargetName, Wanted

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class ProxyRule:
    """One ``--send-proxy``.

    Attributes:
        version: of the header.
        rule: the targets; None means all, those on UNIX sockets too.
    """

    version: ProxyVersion
    rule: Rule | None = None

    @classmethod
    def parse(cls, text: str) -> "ProxyRule":
        """Parse ``VERSION`` or ``VERSION:RULE``.

        Raises:
            RuleError: it is neither.
        """
        version, colon, rule = text.partition(":")
        try:
            form = ProxyVersion(version)
        except ValueError:
            known = ", ".join(each.value for each in ProxyVersion)
            shown = printable(text, _SHOWN)
            raise RuleError(f'"{shown}": expected one of {known}, with optional :RULE') from None
        if "=" in rule:
            raise RuleError(f'"{printable(text, _SHOWN)}": expected a name or a block, not NAME=BLOCK')
        return cls(form, parse_rule(rule, Effect.DENY) if colon else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a dial has led.

    Attributes:
        target: as the client asked for it.
        place: where that is: the same, or what the name stands for.
        endpoint: the address that was dialled, or the path.
    """

    target: Wanted
    place: Target | PurePosixPath
    endpoint: Address | PurePosixPath

    @property
    def names(self) -> Iterator[str]:
        """The names by which rules know it."""
        if isinstance(self.target, TargetName):
            yield self.target.name
        if isinstance(self.place, Target):
            yield self.place.host


def header_for(
    rules: Iterable[ProxyRule],
    destination: Destination,
    client: ClientConnection | None,
    local: LocalNetworks,
) -> bytes:
    """Return the header that a target gets; empty if it gets none.

    Args:
        rules: in their order.
        destination: the target, which has been dialled.
        client: where the client is; None if the gateway itself made the connection.
        local: this machine's networks, which are not ``public``.
    """
    for each in rules:
        if each.rule is None or _matches(each.rule, destination, local):
            return own_header(each.version) if client is None else proxy_header(each.version, client)
    return b""


def _matches(rule: Rule, destination: Destination, local: LocalNetworks) -> bool:
    place, endpoint = destination.place, destination.endpoint
    if isinstance(place, Target) and not rule.covers_port(place.port):
        return False
    if rule.name is not None:
        return any(map(rule.covers_name, destination.names))
    if isinstance(endpoint, PurePosixPath):
        return False
    found, block = locate(endpoint, local), rule.block
    if block is None:
        return found.public
    return any(block.covers(*key) for key in found.keys)

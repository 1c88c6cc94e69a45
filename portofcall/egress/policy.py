"""Where connections may go: the operator's rules and the address table make a verdict, with its reason.

Nothing is resolved here. An address is judged at once. A name is judged in two steps: its text before the
look-up, then every address that the look-up returned, before any of them is dialled. Authentication is the
job of `portofcall.access`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from portofcall.egress.address_table import Reach
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.name_table import private_name
from portofcall.egress.place import Place, locate
from portofcall.egress.rule_table import AddressTable, PortTable, RuleTable, earliest
from portofcall.egress.rules import SMTP_PORT, Block, Effect, Rule, RuleError, parse_rule
from portofcall.errors import printable
from portofcall.target import Address, Target

__all__ = ["DEFAULT_ALLOW", "Policy", "RuleError", "Undecided", "Verdict"]

#: The rules that allow where there are no others.
DEFAULT_ALLOW = ("public",)

_SHOWN = 64

_ALL_ADDRESSES = (Block(4, 0, 2**32 - 1), Block(6, 0, 2**128 - 1))
_SMTP = "port 25 (SMTP) needs a rule whose PORTS name it"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The policy's decision on a target.

    Attributes:
        allowed: whether a connection may be made.
        reason: one sentence in ASCII of at most 250 characters, naming the rule or the row that decided.
    """

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """A name whose text is not refused: its addresses decide. `Policy.judge` makes it.

    Attributes:
        reason: one sentence in ASCII of at most 250 characters, naming the rule that may allow the name.
    """

    reason: str
    _rules: "_Applicable"

    def resolved_to(self, addresses: Sequence[Address]) -> Verdict:
        """Judge what the name resolved to.

        Args:
            addresses: all of the resolver's addresses. One refused address refuses the name; so does none.

        Returns:
            The first refusal, or else the reason why the first address is allowed.
        """
        first = None
        for address in addresses:
            verdict = self._rules.judge(address)
            if not verdict.allowed:
                return verdict
            first = first or verdict
        return first or Verdict(False, f"{printable(self._rules.host, _SHOWN)} has no address")


@dataclass(frozen=True, slots=True)
class Policy:
    """An immutable set of rules. Deny wins over allow; a target that no rule allows is refused.

    - ``public``, a block or an address allows and denies addresses. ``public`` allows no address of this
      machine or of the networks that it is in; it denies them like any other public address. A deny reaches
      addresses in every IPv6 form too; an allow of an IPv4 block opens no IPv6 form but the IPv4-mapped one,
      which is the same address.
    - A host name or ``*.domain`` allows that name to lead to public addresses, and to addresses that another
      rule allows. ``NAME=BLOCK`` allows that name to lead into that block.
    - An address in which IPv4 is embedded needs a rule for itself, and its IPv4 address must be public or
      have a rule too.
    - Cloud metadata addresses need a rule for exactly that address; port 25 a rule whose PORTS name it.
    - The names of `portofcall.egress.name_table` and single labels need a rule that names them.

    Attributes:
        allow: the rules that allow, in the order given.
        deny: the rules that deny.
    """

    allow: tuple[Rule, ...]
    deny: tuple[Rule, ...]
    _allow: RuleTable = field(init=False, repr=False, compare=False)
    _deny: RuleTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the rules."""
        object.__setattr__(self, "_allow", RuleTable(self.allow))
        object.__setattr__(self, "_deny", RuleTable(self.deny))

    @classmethod
    def parse(
        cls, *, allow: Iterable[str] = (), deny: Iterable[str] = (), default: Iterable[str] = DEFAULT_ALLOW
    ) -> "Policy":
        """Parse the rules; :mod:`portofcall.egress.rules` has their grammar.

        Args:
            allow: rules that allow.
            deny: rules that deny.
            default: the rules that allow if ``allow`` has none. Without any, clients reach named targets
                only, see `judge_named`.

        Raises:
            RuleError: a rule is not valid.
            TypeError: one string instead of a collection of them.
        """
        if isinstance(allow, str) or isinstance(deny, str):
            raise TypeError("expected a collection of rules, got one string")
        return cls.of(
            allow=(parse_rule(text, Effect.ALLOW) for text in allow),
            deny=(parse_rule(text, Effect.DENY) for text in deny),
            default=default,
        )

    @classmethod
    def of(
        cls, *, allow: Iterable[Rule], deny: Iterable[Rule], default: Iterable[str] = DEFAULT_ALLOW
    ) -> "Policy":
        """Make a policy of rules that are parsed already; see `parse`."""
        allowing = tuple(allow) or tuple(parse_rule(text, Effect.ALLOW) for text in default)
        return cls(allowing, tuple(deny))

    def judge(self, target: Target, local: LocalNetworks) -> Verdict | Undecided:
        """Judge a target by its text, before any look-up.

        Args:
            target: the target.
            local: this machine's networks.

        Returns:
            For an address, the verdict. For a name, a refusal if no address could make it allowed; otherwise
            `Undecided`, for the addresses that it resolves to.
        """
        if not self.allow:
            return Verdict(False, "this gateway has named targets only: ask with target=NAME")
        return self._judge(target, local, self._allow)

    def judge_named(self, target: Target, local: LocalNetworks) -> Verdict | Undecided:
        """Judge what a name of the operator's leads to, as `judge` does.

        No rule has to allow it, on any port. Rules that deny count, and metadata addresses stay refused.
        """
        ports = ((target.port, target.port),)
        written = (Rule(str(target), ports, target.host, block) for block in _ALL_ADDRESSES)
        return self._judge(target, local, RuleTable(written))

    def _judge(self, target: Target, local: LocalNetworks, allow: RuleTable) -> Verdict | Undecided:
        host, port, address = target.host, target.port, target.address
        denied = earliest([table.any_block.first(port) for table in self._deny.named(host)])
        if denied:
            return Verdict(False, f"denied by rule {denied}")
        rules = _Applicable(host, port, local, self._deny.nameless, allow.nameless, allow.named(host))
        return rules.judge_name() if address is None else rules.judge(address)


@dataclass(frozen=True, slots=True)
class _Applicable:
    """The rules that apply to one target, for any port: the reason of a refusal depends on all of them.

    Attributes:
        host: of the target.
        port: of the target.
        local: this machine's networks.
        deny: rules without a name that deny addresses.
        allow: rules without a name that allow.
        allow_name: rules with this name that allow.
    """

    host: str
    port: int
    local: LocalNetworks
    deny: AddressTable | None
    allow: AddressTable | None
    allow_name: list[AddressTable]

    def judge_name(self) -> Verdict | Undecided:
        """Judge the host as a name."""
        shown = printable(self.host, _SHOWN)
        private = private_name(self.host)
        candidates = [*self.allow_name, self.allow] if self.allow and not private else self.allow_name
        rule = earliest([table.any_block.first(self.port) for table in candidates])
        if rule:
            return Undecided(f"rule {rule} may allow {shown}, depending on its addresses", self)
        if private and not candidates:
            return Verdict(False, f"{shown} is {private[0]} ({private[1]}) and no rule allows it")
        return Verdict(False, _no_rule(shown, self.port, covered=bool(candidates)))

    def judge(self, address: Address) -> Verdict:
        """Judge one address of the target."""
        place = locate(address, self.local)
        denied = self._find_denial(place) if self.deny else None
        if denied:
            return Verdict(False, f"denied by rule {denied}")
        by_itself = self._find(place)
        carried = ((inner, self._find(inner)) for inner in place.carried if not inner.public)
        closed = next(((inner, found) for inner, found in carried if not found.rule), None)
        if by_itself.rule and not closed:
            return Verdict(True, f"allowed by rule {by_itself.rule}")
        if closed and (by_itself.rule or place.row.reach in (Reach.PUBLIC, Reach.AS_CARRIED)):
            form = f" ({place.row.name})" if place.row.reach is Reach.AS_CARRIED else ""
            inner, found = closed
            refusal = self._refusal(inner, covered=found.covered, which=", which")
            return Verdict(False, f"{place.address}{form} leads to {refusal}")
        return Verdict(False, self._refusal(place, covered=by_itself.covered))

    def _find_denial(self, place: Place) -> Rule | None:
        assert self.deny is not None
        denying = [table for key in place.keys for table in self.deny.with_key(key)]
        if place.public_elsewhere and self.deny.without_block:
            denying.append(self.deny.without_block)
        return earliest([table.first(self.port) for table in denying])

    def _find(self, place: Place) -> "_Found":
        """Find the first rule that allows this address by itself, not counting those it carries."""
        key = (place.address.version, int(place.address))
        metadata = place.row.reach is Reach.METADATA
        allowing: list[PortTable] = []
        for rules in (*self.allow_name, self.allow) if self.allow else self.allow_name:
            allowing += rules.with_key(key, single=metadata)
            if place.public and rules.without_block:
                allowing.append(rules.without_block)
        return _Found(earliest([table.first(self.port) for table in allowing]), bool(allowing))

    def _refusal(self, place: Place, *, covered: bool, which: str = "") -> str:
        if place.public:
            return _no_rule(str(place.address), self.port, covered=covered)
        if covered:
            lack = _SMTP if self.port == SMTP_PORT else f"no rule allows it on port {self.port}"
        elif place.row.reach is Reach.METADATA:
            lack = "no rule names exactly this address"
        else:
            lack = "no rule allows it"
        return f"{place.address}{which} is {place.row.name} ({place.row.source}) and {lack}"


@dataclass(frozen=True, slots=True)
class _Found:
    """The rule that allows an address, if any, and whether one covers it, be it on another port."""

    rule: Rule | None
    covered: bool


def _no_rule(subject: str, port: int, *, covered: bool) -> str:
    return _SMTP if covered and port == SMTP_PORT else f"no rule allows {subject} on port {port}"

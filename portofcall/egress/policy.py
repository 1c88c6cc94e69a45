"""Where connections may go: an operator's rules and the address table make a verdict, with the reason for it.

Nothing is resolved here. A name is judged twice: its text before the look-up, and every address that the
look-up gave before one of them is dialled. Who asks is not a question of this module (see access).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from portofcall.egress.address_table import Place, Reach, locate
from portofcall.egress.rules import SMTP_PORT, Effect, Rule, RuleError, parse_rule
from portofcall.errors import printable
from portofcall.target import Address, Target

__all__ = ["Policy", "RuleError", "Verdict"]

_SHOWN = 64

_ETC_HOSTS = ("a name of this host", "as /etc/hosts has it")
_APPENDIX_G = ("a private name", "RFC 6762 appendix G")

#: Names that mean something only on this host or in its own network, with everything below them. A public
#: resolver has no answer for them; a local one leads inside.
PRIVATE_DOMAINS: dict[str, tuple[str, str]] = {
    "localhost": ("a name of this host", "RFC 6761 section 6.3"),
    **dict.fromkeys(("ip6-localhost", "ip6-loopback", "localhost4", "localhost6"), _ETC_HOSTS),
    **dict.fromkeys(("localdomain", "localdomain4", "localdomain6"), _ETC_HOSTS),
    "local": ("a name of the local link", "RFC 6762"),
    "internal": ("a private name", "reserved by ICANN in 2024"),
    "home.arpa": ("a name of the home network", "RFC 8375"),
    **dict.fromkeys(("corp", "home", "intranet", "lan", "private"), _APPENDIX_G),
    "test": ("a name for testing", "RFC 6761 section 6.2"),
    "invalid": ("a name that never exists", "RFC 6761 section 6.4"),
    "onion": ("a name of Tor", "RFC 7686"),
}
_SINGLE_LABEL = ("a single label, known to a local network only", "RFC 7085")

_SMTP = "port 25 (SMTP) needs a rule whose PORTS name it"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of a target.

    Attributes:
        allowed: whether a connection may be made.
        reason: one sentence in ASCII of at most 250 characters, naming the rule or the row that decided.
    """

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """An immutable set of rules. Deny wins over allow; what no rule allows is refused.

    - ``public``, a block or an address allows and denies addresses. A deny reaches them in every IPv6 form
      too; an allow of an IPv4 block opens no IPv6 form but the IPv4-mapped one, which is the same address.
    - A host name or ``*.domain`` allows that name to lead to public addresses, also to addresses that another
      rule allows. ``NAME=BLOCK`` allows that name to lead into that block.
    - An address in which IPv4 is embedded needs a rule for itself, and its IPv4 address must be public or
      have a rule too.
    - Cloud metadata addresses need a rule for exactly that address; port 25 a rule whose PORTS name it.
    - :data:`PRIVATE_DOMAINS` and single labels need a rule that names them.

    Attributes:
        allow: the rules that allow, in the order given.
        deny: the rules that deny.
    """

    allow: tuple[Rule, ...]
    deny: tuple[Rule, ...]

    @classmethod
    def parse(cls, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> "Policy":
        """Read the rules; :mod:`portofcall.egress.rules` has their grammar.

        Args:
            allow: rules that allow. None at all means ``public``.
            deny: rules that deny.

        Raises:
            RuleError: one of them can't be read.
            TypeError: a string instead of a collection of them.
        """
        if isinstance(allow, str) or isinstance(deny, str):
            raise TypeError("expected a collection of rules, got one string")
        return cls(
            tuple(parse_rule(text, Effect.ALLOW) for text in tuple(allow) or ("public",)),
            tuple(parse_rule(text, Effect.DENY) for text in deny),
        )

    def judge_name(self, target: Target) -> Verdict:
        """Judge what the text alone decides, before any look-up.

        Returns:
            For an address, the full verdict. For a name, a refusal if no address could make it allowed;
            otherwise "allowed" means: may be looked up, then :meth:`judge` decides.
        """
        address = target.address
        return self._judge_text(target) if address is None else self._judge_address(target, address)

    def judge(self, target: Target, addresses: Sequence[Address]) -> Verdict:
        """Judge a target together with what it resolved to.

        Args:
            target: the target, which is judged by :meth:`judge_name` as well.
            addresses: every answer of the resolver. One bad answer refuses the target; so does no answer.

        Returns:
            The first refusal, or else the reason for which the first address is allowed.
        """
        by_text = self.judge_name(target)
        if not by_text.allowed:
            return by_text
        if not addresses:
            return Verdict(False, f"{printable(target.host, _SHOWN)} has no address")
        verdicts = [self._judge_address(target, address) for address in addresses]
        return next((verdict for verdict in verdicts if not verdict.allowed), verdicts[0])

    def _judge_text(self, target: Target) -> Verdict:
        host, port = target.host, target.port
        for rule in self.deny:
            if rule.covers_name(host) and rule.covers_port(port):
                return Verdict(False, f"denied by rule {rule}")
        shown = printable(host, _SHOWN)
        private = _private_name(host)
        candidates = [rule for rule in self.allow if rule.covers_name(host) or not (rule.name or private)]
        for rule in candidates:
            if rule.covers_port(port):
                return Verdict(True, f"rule {rule} may allow {shown}, depending on its addresses")
        if private and not candidates:
            return Verdict(False, f"{shown} is {private[0]} ({private[1]}) and no rule allows it")
        return Verdict(False, _no_rule(shown, port, covered=bool(candidates)))

    def _judge_address(self, target: Target, address: Address) -> Verdict:
        place = locate(address)
        for rule in self.deny:
            if rule.covers_port(target.port) and _denies(rule, place):
                return Verdict(False, f"denied by rule {rule}")
        allowing = self._rule_for(target, place)
        closed = [inner for inner in place.carried if not inner.public and not self._rule_for(target, inner)]
        if allowing and not closed:
            return Verdict(True, f"allowed by rule {allowing}")
        if closed and (allowing or place.row.reach in (Reach.PUBLIC, Reach.AS_CARRIED)):
            form = f" ({place.row.name})" if place.row.reach is Reach.AS_CARRIED else ""
            inner = self._refusal(target, closed[0], which=", which")
            return Verdict(False, f"{place.address}{form} leads to {inner}")
        return Verdict(False, self._refusal(target, place))

    def _rule_for(self, target: Target, place: Place) -> Rule | None:
        """The first rule that allows this address by itself, whatever it carries."""
        for rule in self.allow:
            if rule.covers_port(target.port) and _allows(rule, target.host, place):
                return rule
        return None

    def _refusal(self, target: Target, place: Place, *, which: str = "") -> str:
        covered = any(_allows(rule, target.host, place) for rule in self.allow)
        if place.public:
            return _no_rule(str(place.address), target.port, covered=covered)
        if covered:
            lack = _SMTP if target.port == SMTP_PORT else f"no rule allows it on port {target.port}"
        elif place.row.reach is Reach.METADATA:
            lack = "no rule names exactly this address"
        else:
            lack = "no rule allows it"
        return f"{place.address}{which} is {place.row.name} ({place.row.source}) and {lack}"


def _allows(rule: Rule, host: str, place: Place) -> bool:
    if rule.name is not None and not rule.covers_name(host):
        return False
    if rule.block is None:
        return place.public
    if place.row.reach is Reach.METADATA and not rule.block.single:
        return False
    return rule.block.covers((place.address.version, int(place.address)))


def _denies(rule: Rule, place: Place) -> bool:
    if rule.name is not None:
        return False  # judged with the text
    return place.public if rule.block is None else any(map(rule.block.covers, place.keys))


def _private_name(host: str) -> tuple[str, str] | None:
    labels = host.split(".")
    row = PRIVATE_DOMAINS.get(labels[-1]) or PRIVATE_DOMAINS.get(".".join(labels[-2:]))
    return row or (_SINGLE_LABEL if len(labels) == 1 else None)


def _no_rule(subject: str, port: int, *, covered: bool) -> str:
    return _SMTP if covered and port == SMTP_PORT else f"no rule allows {subject} on port {port}"

"""The index of rules decides as a walk over them in their order would, and names the same rule."""

import tracemalloc
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress.address_table import Reach
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.name_table import private_name
from portofcall.egress.place import Place, locate
from portofcall.egress.policy import Policy, Undecided
from portofcall.egress.rule_table import AddressTable, PortTable, RuleTable, earliest
from portofcall.egress.rules import Effect, Rule, parse_rule
from portofcall.target import Address, Target
from tests.support import decide

#: Few of each, so that rules overlap each other and the targets.
NAMES = ["a.example", "b.a.example", "c.b.a.example", "db.internal", "localhost"]
DOMAINS = ["*.example", "*.a.example", "*.b.a.example", "*.internal"]
BLOCKS = [
    *("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3", "10.1.2.4", "93.184.216.0/24"),
    *("169.254.0.0/16", "169.254.169.254", "93.184.216.34/32", "127.0.0.1"),
    *("[::/0]", "[fd12::/16]", "[fd12::1]", "[64:ff9b::/96]", "[::ffff:10.0.0.0/104]", "[2606::/16]"),
]
PORTS = ["", ":*", ":22", ":25", ":22,25", ":1-1023", ":20-25,80", ":1024-65535"]
SUBJECTS = st.sampled_from(["public", *NAMES, *DOMAINS, *BLOCKS])
TIES = st.tuples(st.sampled_from(NAMES + DOMAINS), st.sampled_from(BLOCKS)).map("=".join)


def rules(effect: Effect) -> st.SearchStrategy[list[Rule]]:
    """Make rules, some of them twice."""
    subjects = st.one_of(SUBJECTS, SUBJECTS, TIES) if effect is Effect.ALLOW else SUBJECTS
    texts = st.tuples(subjects, st.sampled_from(PORTS)).map("".join)
    return st.lists(texts.map(lambda text: parse_rule(text, effect)), max_size=12)


ADDRESSES = st.sampled_from(
    [
        *map(IPv4Address, ("10.1.2.3", "10.1.2.9", "10.9.9.9", "93.184.216.34", "127.0.0.1", "0.0.0.0")),
        *map(IPv4Address, ("169.254.169.254", "169.254.1.1", "198.35.26.96")),
        *map(IPv6Address, ("fd12::1", "fd12::2", "64:ff9b::a01:203", "64:ff9b::5db8:d822", "2606::1")),
        *map(IPv6Address, ("::ffff:10.1.2.3", "2002:a01:203::", "::1", "2606::5efe:a01:203")),
    ]
)
HOSTS = st.one_of(ADDRESSES.map(str), st.sampled_from([*NAMES, "x.a.example", "other.example", "example"]))


class Walk:
    """Decides by walking over the rules, as the contract of `Policy` is written.

    Attributes:
        allow, deny: the rules.
        host, port: of the target.
    """

    def __init__(self, policy: Policy, target: Target) -> None:
        self.host, self.port = target.host, target.port
        self.allow = [rule for rule in policy.allow if rule.name is None or rule.covers_name(self.host)]
        self.deny = [rule for rule in policy.deny if rule.covers_port(self.port)]

    def named(self) -> tuple[str, Rule | None]:
        """Decide on the name: what comes of it, and the rule that is named."""
        for rule in self.deny:
            if rule.covers_name(self.host):
                return "deny", rule
        private = private_name(self.host)
        for rule in self.allow:
            if (rule.name or not private) and rule.covers_port(self.port):
                return "undecided", rule
        return "none", None

    def address(self, address: Address) -> tuple[str, Rule | None]:
        """Decide on one address."""
        place = locate(address, LocalNetworks())
        for rule in self.deny:
            if rule.name is None and self._denies(rule, place):
                return "deny", rule
        found = self._find(place)
        if found and all(inner.public or self._find(inner) for inner in place.carried):
            return "allow", found
        return "none", None

    def _denies(self, rule: Rule, place: Place) -> bool:
        block = rule.block
        return place.public_elsewhere if block is None else any(block.covers(*key) for key in place.keys)

    def _find(self, place: Place) -> Rule | None:
        key = (place.address.version, int(place.address))
        for rule in self.allow:
            block = rule.block
            if block is None:
                allows = place.public
            else:
                exact = block.single or place.row.reach is not Reach.METADATA
                allows = exact and block.covers(*key)
            if allows and rule.covers_port(self.port):
                return rule
        return None


def expected(policy: Policy, target: Target, addresses: Sequence[Address]) -> tuple[str, Rule | None]:
    """Return what the walk decides: deny, allow or none, and the rule that is named."""
    walk = Walk(policy, target)
    what, rule = walk.named()
    if target.address is None:
        if what != "undecided":
            return what, rule
    else:
        if what == "deny":
            return what, rule
        addresses = [target.address]
    verdicts = [walk.address(address) for address in addresses]
    return next((verdict for verdict in verdicts if verdict[0] != "allow"), (verdicts or [("none", None)])[0])


@given(
    allow=rules(Effect.ALLOW),
    deny=rules(Effect.DENY),
    host=HOSTS,
    port=st.sampled_from([22, 25, 80, 5000]),
    addresses=st.lists(ADDRESSES, max_size=3),
)
def test_table_and_walk_decide_the_same(
    allow: list[Rule], deny: list[Rule], host: str, port: int, addresses: list[Address]
) -> None:
    """For a name, its addresses and an address; the reason names the rule that the walk finds first."""
    policy, target = Policy.of(allow=allow, deny=deny), Target(host, port)
    verdict = decide(policy, target, addresses)
    what, rule = expected(policy, target, addresses)
    assert verdict.allowed is (what == "allow"), verdict.reason
    if rule:
        by = "allowed" if what == "allow" else "denied"
        assert verdict.reason == f"{by} by rule {rule}"
    else:
        assert " by rule " not in verdict.reason
    judged = policy.judge(target, LocalNetworks())
    if isinstance(judged, Undecided):
        assert f"rule {Walk(policy, target).named()[1]} may allow" in judged.reason


PORT_LISTS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 20)).map(lambda pair: (pair[0], sum(pair))), min_size=1
)


@given(st.lists(PORT_LISTS, min_size=1, max_size=12))
def test_port_table_finds_the_first_rule_of_those_that_overlap(ports: list[list[tuple[int, int]]]) -> None:
    """For each port, those of no rule too."""
    ranked = [(rank, Rule("x", tuple(ranges))) for rank, ranges in enumerate(ports)]
    table = PortTable(ranked)
    for port in range(1, 70):
        first = next((each for each in ranked if each[1].covers_port(port)), None)
        assert table.first(port) == first


def test_metadata_is_found_by_a_block_of_one_address_only() -> None:
    """`single` leaves out longer blocks, in a table with both and in one without the other."""
    wide, exact = parse_rule("169.254.0.0/16", Effect.ALLOW), parse_rule("169.254.169.254", Effect.ALLOW)
    key = (4, int(IPv4Address("169.254.169.254")))
    for written, found in (([wide], []), ([exact], [exact]), ([wide, exact], [exact])):
        tables = AddressTable(list(enumerate(written))).with_key(key, single=True)
        assert [earliest([table.first(80)]) for table in tables] == found


def test_a_host_of_many_labels_is_looked_up_no_deeper_than_the_rules_go() -> None:
    """A client that asks for a hundred labels costs two look-ups where the rules have two."""
    table = RuleTable([parse_rule("*.a.example", Effect.ALLOW)])
    looked_up: list[str] = []

    class Counted(dict[str, AddressTable]):
        def __contains__(self, key: object) -> bool:
            looked_up.append(str(key))
            return super().__contains__(key)

    table._by_name = Counted(table._by_name)
    host = "x." * 100 + "a.example"
    assert len(table.named(host)) == 1
    assert looked_up == [host, "*.example", "*.a.example"]


def test_ten_thousand_rules_take_a_bounded_amount_of_memory() -> None:
    """At most 600 bytes a rule for the index, in addition to the rules, whatever they have in common."""
    for texts in (
        [f"host{number}.example:{number + 1}" for number in range(2000)],
        [f"10.0.{number >> 8}.{number & 255}" for number in range(2000)],
        [f"*.example=10.0.{number >> 8}.{number & 255}:1-{number + 1}" for number in range(2000)],
        [f"10.0.0.1:{number + 1}" for number in range(2000)],
    ):
        parsed = [parse_rule(text, Effect.ALLOW) for text in texts]
        tracemalloc.start()
        try:
            table = RuleTable(parsed)
            size, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert table.nameless or table.named("host1.example")
        assert size <= 600 * len(texts)
        assert peak <= 1200 * len(texts)

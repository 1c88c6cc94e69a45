"""The policy: rules, the order in which they decide, and the reasons that people read."""

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress.address_table import TABLE, Reach
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.name_table import PRIVATE_DOMAINS
from portofcall.egress.policy import Policy, RuleError, Undecided, Verdict
from portofcall.egress.rules import Rule
from portofcall.errors import InvalidTarget
from portofcall.target import Address, Target
from tests.support import RULE_TEXT, corpus, decide

DEFAULT = Policy.parse()
LOW_32 = 0xFFFF_FFFF
PUBLIC_64 = int(IPv6Address("2606:2800:220:1::")) >> 64
#: Each way to write an IPv4 address as an IPv6 address.
FORMS = {
    "mapped": lambda inner: 0xFFFF << 32 | inner,
    "compatible": lambda inner: inner,
    "translated": lambda inner: 0xFFFF << 48 | inner,
    "nat64": lambda inner: 0x64_FF9B << 96 | inner,
    "local nat64": lambda inner: 0x64_FF9B_0001 << 80 | inner,
    "6to4": lambda inner: 0x2002 << 112 | inner << 80,
    "teredo client": lambda inner: 0x2001_0000_0808_0808 << 64 | inner ^ LOW_32,
    "teredo server": lambda inner: 0x2001_0000 << 96 | inner << 64 | 0x0808_0808 ^ LOW_32,
    "isatap": lambda inner: PUBLIC_64 << 64 | 0x5EFE << 32 | inner,
    "isatap, global": lambda inner: PUBLIC_64 << 64 | 0x0200_5EFE << 32 | inner,
}
SPECIAL_IPV4 = [row.block for row in TABLE if row.block.version == 4 and row.block.prefixlen]
IPV4 = st.one_of(
    st.ip_addresses(v=4),
    st.sampled_from(SPECIAL_IPV4).flatmap(lambda block: st.ip_addresses(network=block)),
)


def asked(policy: Policy, host: str, port: str | int = 22, *addresses: str) -> Verdict:
    """Judge a target written as text, with addresses if there are some."""
    return decide(policy, Target.parse(host, port), [ip_address(text) for text in addresses] or None)


@pytest.mark.parametrize(
    ("verdict", "host", "port", "addresses", "trick"), corpus(), ids=[row[-1] for row in corpus()]
)
def test_known_tricks_end_as_they_should(
    verdict: str, host: str, port: str | int, addresses: list[Address] | None, trick: str
) -> None:
    """Each trick of the corpus is let through, refused or invalid under the default policy."""
    try:
        target = Target.parse(host, port)
    except InvalidTarget:
        assert verdict == "invalid", trick
        return
    judged = decide(DEFAULT, target, addresses)
    assert verdict == ("allow" if judged.allowed else "block"), f"{trick}: {judged.reason}"


def test_the_corpus_is_large_and_has_no_row_twice() -> None:
    """The corpus keeps its size, and every row is worth its place."""
    rows = [str(row[1:4]) for row in corpus()]
    assert len(rows) >= 200
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize(
    ("allow", "deny", "target", "reason"),
    [
        ([], [], ("127.0.0.1", 22), "127.0.0.1 is loopback (RFC 1122 section 3.2.1.3) and no rule allows it"),
        ([], [], ("::ffff:10.0.0.1", 22), "10.0.0.1 is private (RFC 1918) and no rule allows it"),
        (
            [],
            [],
            ("64:ff9b::a00:1", 22),
            "64:ff9b::a00:1 (NAT64) leads to 10.0.0.1, which is private (RFC 1918) and no rule allows it",
        ),
        (
            [],
            [],
            ("2606::5efe:a00:1", 22),
            "2606::5efe:a00:1 leads to 10.0.0.1, which is private (RFC 1918) and no rule allows it",
        ),
        (
            ["10.0.0.0/8"],
            [],
            ("64:ff9b::a00:1", 22),
            "64:ff9b::a00:1 is NAT64 (RFC 6052) and no rule allows it",
        ),
        ([], ["10.0.0.0/8:22"], ("10.0.0.1", 22), 'denied by rule "10.0.0.0/8:22"'),
        ([], ["*.example.com"], ("a.example.com", 22), 'denied by rule "*.example.com"'),
        ([], [], ("93.184.216.34", 22), 'allowed by rule "public"'),
        (["public:22"], [], ("93.184.216.34", 8080), "no rule allows 93.184.216.34 on port 8080"),
        (["public:22"], [], ("example.com", 8080), "no rule allows example.com on port 8080"),
        ([], [], ("93.184.216.34", 25), "port 25 (SMTP) needs a rule whose PORTS name it"),
        ([], [], ("example.com", 25), "port 25 (SMTP) needs a rule whose PORTS name it"),
        (
            [],
            [],
            ("localhost", 22),
            "localhost is a name of this host (RFC 6761 section 6.3) and no rule allows it",
        ),
        (
            ["127.0.0.1/32:7000"],
            [],
            ("127.0.0.1", 7001),
            "127.0.0.1 is loopback (RFC 1122 section 3.2.1.3) and no rule allows it on port 7001",
        ),
        (
            ["169.254.0.0/16"],
            [],
            ("169.254.169.254", 80),
            "169.254.169.254 is cloud metadata (AWS, Azure, Google Cloud) "
            "and no rule names exactly this address",
        ),
        ([], [], ("example.com", 22), 'rule "public" may allow example.com, depending on its addresses'),
    ],
)
def test_a_reason_names_the_rule_or_the_row(
    allow: list[str], deny: list[str], target: tuple[str, int], reason: str
) -> None:
    """A reason has the rule that decided, or the row of the address, its source, and the missing rule."""
    assert asked(Policy.parse(allow=allow, deny=deny), *target).reason == reason


def test_an_address_is_decided_at_once() -> None:
    """An address leaves nothing to a resolver, allowed or not; a name that may be allowed does."""
    assert isinstance(DEFAULT.judge(Target("93.184.216.34", 22), LocalNetworks()), Verdict)
    assert isinstance(DEFAULT.judge(Target("127.0.0.1", 22), LocalNetworks()), Verdict)
    assert isinstance(DEFAULT.judge(Target("example.com", 22), LocalNetworks()), Undecided)


class Counted(tuple[Rule, ...]):
    """Rules that count how often they are walked over."""

    walks = 0

    def __iter__(self) -> Iterator[Rule]:
        self.walks += 1
        return super().__iter__()


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("10.0.0.1", []),
        ("93.184.216.34", []),
        ("64:ff9b::10.0.0.1", []),
        ("db.internal", []),
        ("denied.example", []),
        ("example.com", ["93.184.216.34", "2606:2800:220:1::1", "10.0.0.1"]),
    ],
)
def test_no_rule_is_walked_over_for_a_target(host: str, addresses: list[str]) -> None:
    """The rules are indexed once, when the policy is made; verdict and reason come from the index."""
    parsed = Policy.parse(allow=["public:22", "10.0.0.0/8:80"], deny=["10.1.0.0/16", "denied.example"])
    policy = Policy(Counted(parsed.allow), Counted(parsed.deny))
    for _ in range(3):
        asked(policy, host, 22, *addresses)
        policy.judge_named(Target.parse(host, 22), LocalNetworks())
    assert isinstance(policy.allow, Counted)
    assert isinstance(policy.deny, Counted)
    assert (policy.allow.walks, policy.deny.walks) == (1, 1)


HOSTS_OF_EACH_KIND = ["example.com", "db.internal", "a.zone1.example", "host1.example", "elsewhere.example"]


def test_ten_thousand_rules_cost_no_more_calls_than_ten() -> None:
    """Rules for other names, blocks and ports cost nothing, for a name and for each of its addresses."""

    def calls(others: int) -> int:
        numbers = range(others)
        blocks = [f"10.{number >> 8}.{number & 255}.0/24" for number in numbers]
        policy = Policy.parse(
            allow=[
                *(f"host{number}.example" for number in numbers),
                *(f"*.zone{number}.example" for number in numbers),
                *(f"db.internal={block}:80" for block in blocks),
                *("example.com", "172.16.0.0/12"),
                *(f"172.16.0.0/12:{number + 1000}" for number in numbers),
            ],
            deny=[*(f"{block}:23" for block in blocks), *(f"bad{number}.example" for number in numbers)],
        )
        counted = 0

        def count(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        def ask() -> None:
            for host in HOSTS_OF_EACH_KIND:
                asked(policy, host, 22, "93.184.216.34", "172.16.0.1", "10.0.1.1")

        ask()  # fills the caches of hosts and addresses
        sys.setprofile(count)
        try:
            ask()
        finally:
            sys.setprofile(None)
        return counted

    few, many = calls(2), calls(2000)
    assert few > 100
    assert many <= few


def test_no_addresses_refuse_a_name() -> None:
    """A name without any address is refused, with that as the reason."""
    verdict = decide(DEFAULT, Target.parse("example.com", 22), [])
    assert verdict == Verdict(False, "example.com has no address")


#: (allow, deny, (host, port, addresses...), whether allowed)
DECISIONS: list[tuple[list[str], list[str], tuple[str, int, *tuple[str, ...]], bool]] = [
    # the same block, with and without ports
    (["127.0.0.1/32:7000"], [], ("127.0.0.1", 7000), True),
    (["127.0.0.1/32:7000"], [], ("127.0.0.1", 7001), False),
    (["127.0.0.1/32:7000"], [], ("127.0.0.2", 7000), False),
    (["127.0.0.1"], [], ("127.0.0.1", 7001), True),
    (["127.0.0.1:*"], [], ("127.0.0.1", 7001), True),
    (["10.0.0.0/8:8000-8099,22"], [], ("10.1.2.3", 8050), True),
    (["10.0.0.0/8:8000-8099,22"], [], ("10.1.2.3", 22), True),
    (["10.0.0.0/8:8000-8099,22"], [], ("10.1.2.3", 8100), False),
    (["10.0.0.0/8"], [], ("93.184.216.34", 22), False),
    (["[fd12::/16]:22"], [], ("fd12::1", 22), True),
    (["[fd12::/16]:22"], [], ("fd12::1", 23), False),
    (["[fd12::1]"], [], ("fd12::1", 23), True),
    (["fd12::/16"], [], ("fd13::1", 22), False),
    (["0.0.0.0/0"], [], ("127.0.0.1", 22), True),
    # deny wins, and reaches IPv4 in each form
    (["public", "10.0.0.0/8"], ["10.0.0.0/8"], ("10.0.0.1", 22), False),
    (["10.0.0.0/8"], ["10.1.0.0/16:22"], ("10.1.0.1", 22), False),
    (["10.0.0.0/8"], ["10.1.0.0/16:22"], ("10.1.0.1", 23), True),
    (["public"], ["93.184.216.34"], ("64:ff9b::93.184.216.34", 22), False),
    (["public"], ["93.184.216.34"], ("2002:5db8:d822::1", 22), False),
    (["public"], ["93.184.216.0/24"], ("::ffff:93.184.216.34", 22), False),
    (["public"], ["::ffff:93.184.216.34"], ("93.184.216.34", 22), False),
    (["public"], ["[::ffff:93.184.216.0/120]:22"], ("93.184.216.34", 22), False),
    (["public"], ["::/0"], ("93.184.216.34", 22), True),
    (["public"], ["::/0"], ("::ffff:93.184.216.34", 22), False),
    (["public"], ["public:22"], ("93.184.216.34", 22), False),
    (["public"], ["public:22"], ("93.184.216.34", 80), True),
    (["public:25"], ["93.184.216.34"], ("93.184.216.34", 25), False),
    (["0.0.0.0/0"], ["127.0.0.0/8"], ("0.0.0.0", 22), False),
    (["::/0"], ["::1"], ("::", 22), False),
    (["64:ff9b:1::/48", "10.0.0.0/8"], ["10.0.0.0/8"], ("64:ff9b:1::10.0.0.1", 22), False),
    (["public"], ["example.com"], ("example.com", 22), False),
    (["public"], ["example.com"], ("a.example.com", 22, "93.184.216.34"), True),
    (["public"], ["*.example.com:22"], ("a.b.example.com", 22), False),
    (["public"], ["*.example.com:22"], ("a.example.com", 23), True),
    (["public"], ["*.example.com"], ("example.com", 22), True),
    (["public"], ["*.example.com"], ("badexample.com", 22), True),
    (["example.com"], ["93.184.216.0/24"], ("example.com", 22, "93.184.216.34"), False),
    # IPv6 forms of an IPv4 address that a rule allows
    (["10.0.0.0/8"], [], ("::ffff:10.0.0.1", 22), True),
    (["10.0.0.0/8", "public"], [], ("64:ff9b::10.0.0.1", 22), False),
    (["64:ff9b::/96"], [], ("64:ff9b::10.0.0.1", 22), False),
    (["64:ff9b::/96", "10.0.0.0/8"], [], ("64:ff9b::10.0.0.1", 22), True),
    (["64:ff9b:1::/48"], [], ("64:ff9b:1::93.184.216.34", 22), True),
    (["64:ff9b:1::/48"], [], ("64:ff9b:1::10.0.0.1", 22), False),
    (["::/0"], [], ("2002:7f00:1::", 22), False),
    (["::/0"], [], ("64:ff9b::7f00:1", 22), False),
    (["::/0"], [], ("64:ff9b::93.184.216.34", 22), True),
    (["::/0"], [], ("10.0.0.1", 22), False),
    (["::ffff:10.0.0.0/104"], [], ("10.0.0.1", 22), True),
    # metadata needs its own rule
    (["169.254.0.0/16"], [], ("169.254.169.254", 80), False),
    (["0.0.0.0/0", "::/0"], [], ("fd00:ec2::254", 80), False),
    (["0.0.0.0/0", "::/0"], [], ("64:ff9b::a9fe:a9fe", 80), False),
    (["0.0.0.0/0", "::/0"], [], ("168.63.129.16", 80), False),
    (["169.254.169.254"], [], ("169.254.169.254", 80), True),
    (["169.254.169.254/32:80"], [], ("::ffff:169.254.169.254", 80), True),
    (["169.254.169.254:80"], [], ("169.254.169.254", 81), False),
    (["fd00:ec2::254/128"], [], ("fd00:ec2::254", 80), True),
    (["meta.internal=169.254.169.254"], [], ("meta.internal", 80, "169.254.169.254"), True),
    (["meta.internal=169.254.0.0/16"], [], ("meta.internal", 80, "169.254.169.254"), False),
    # port 25 has to be named
    (["public:25"], [], ("93.184.216.34", 25), True),
    (["public:1-1023"], [], ("93.184.216.34", 25), True),
    (["public:22,25"], [], ("93.184.216.34", 25), True),
    (["public:*"], [], ("93.184.216.34", 25), False),
    (["public", "10.0.0.0/8:25"], [], ("93.184.216.34", 25), False),
    (["public", "mail.example:25"], [], ("mail.example", 25, "93.184.216.34"), True),
    (["public", "mail.example:25"], [], ("other.example", 25, "93.184.216.34"), False),
    (["mail.example"], [], ("mail.example", 25, "93.184.216.34"), False),
    (["db.internal=10.0.0.0/8"], [], ("db.internal", 25, "10.0.0.1"), False),
    # names
    (["example.com"], [], ("example.com", 22, "93.184.216.34"), True),
    (["EXAMPLE.com."], [], ("example.COM", 22, "93.184.216.34"), True),
    (["bücher.example"], [], ("xn--bcher-kva.example", 22, "93.184.216.34"), True),
    (["example.com"], [], ("example.com", 22, "10.0.0.1"), False),
    (["example.com", "10.0.0.0/8"], [], ("example.com", 22, "10.0.0.1"), True),
    (["example.com", "10.0.0.0/8:80"], [], ("example.com", 22, "10.0.0.1"), False),
    (["example.com"], [], ("www.example.com", 22), False),
    (["example.com"], [], ("93.184.216.34", 22), False),
    (["*.example.com"], [], ("www.example.com", 22, "93.184.216.34"), True),
    (["*.example.com"], [], ("a.b.example.com", 22, "93.184.216.34"), True),
    (["*.example.com"], [], ("example.com", 22), False),
    (["*.example.com"], [], ("wwwexample.com", 22), False),
    (["example.com:443"], [], ("example.com", 22), False),
    (["10.0.0.0/8"], [], ("db.example", 22, "10.0.0.1"), True),
    (["10.0.0.0/8"], [], ("db.example", 22, "10.0.0.1", "93.184.216.34"), False),
    # private names
    (["public", "10.0.0.0/8"], [], ("db.internal", 22, "10.0.0.1"), False),
    (["db.internal", "10.0.0.0/8"], [], ("db.internal", 22, "10.0.0.1"), True),
    (["*.internal", "10.0.0.0/8"], [], ("db.internal", 22, "10.0.0.1"), True),
    (["*.internal", "10.0.0.0/8"], [], ("internal", 22, "10.0.0.1"), False),
    (["db.internal:22", "10.0.0.0/8"], [], ("db.internal", 23, "10.0.0.1"), False),
    (["localhost", "127.0.0.0/8"], [], ("localhost", 22, "127.0.0.1"), True),
    (["localhost"], [], ("localhost", 22, "127.0.0.1"), False),
    (["localhost=127.0.0.0/8:7000"], [], ("localhost", 7000, "127.0.0.1"), True),
    (["localhost=127.0.0.0/8"], [], ("localhost", 22, "127.0.0.1", "::1"), False),
    (["localhost=127.0.0.0/8", "localhost=::1"], [], ("localhost", 22, "127.0.0.1", "::1"), True),
    (["public=10.0.0.0/8"], [], ("public", 22, "10.0.0.1"), True),
    # NAME=BLOCK
    (["db.internal=10.0.0.0/8:5432"], [], ("db.internal", 5432, "10.0.0.1"), True),
    (["db.internal=10.0.0.0/8:5432"], [], ("db.internal", 5432, "::ffff:10.0.0.1"), True),
    (["db.internal=10.0.0.0/8:5432"], [], ("db.internal", 5433, "10.0.0.1"), False),
    (["db.internal=10.0.0.0/8:5432"], [], ("db.internal", 5432, "192.168.0.1"), False),
    (["db.internal=10.0.0.0/8:5432"], [], ("db.internal", 5432, "93.184.216.34"), False),
    (["db.internal=10.0.0.0/8:5432"], [], ("web.internal", 5432, "10.0.0.1"), False),
    (["db.internal=10.0.0.0/8:5432"], [], ("10.0.0.1", 5432), False),
    (["*.internal=[fd12::/16]:22"], [], ("db.internal", 22, "fd12::1"), True),
    (["*.internal=fd12::/16"], [], ("db.internal", 22, "fd12::1"), True),
    (["db.internal=10.0.0.0/8"], ["10.1.0.0/16"], ("db.internal", 22, "10.1.0.1"), False),
    (["db.internal=10.0.0.0/8"], ["db.internal"], ("db.internal", 22, "10.0.0.1"), False),
    (["db.internal=64:ff9b::/96"], [], ("db.internal", 22, "64:ff9b::10.0.0.1"), False),
]


@pytest.mark.parametrize(("allow", "deny", "question", "allowed"), DECISIONS)
def test_rules_decide(
    allow: list[str], deny: list[str], question: tuple[str, int, *tuple[str, ...]], allowed: bool
) -> None:
    """A target is let through exactly when the rules say so."""
    verdict = asked(Policy.parse(allow=allow, deny=deny), *question)
    assert verdict.allowed is allowed, verdict.reason


@pytest.mark.parametrize("domain", PRIVATE_DOMAINS)
def test_private_domains_need_a_rule_that_names_them(domain: str) -> None:
    """A private domain and all below it are refused before any look-up, until a rule names them."""
    assert not asked(DEFAULT, domain).allowed
    assert not asked(DEFAULT, f"a.b.{domain}").allowed
    assert not asked(Policy.parse(allow=["0.0.0.0/0", "::/0", "public"]), f"a.{domain}").allowed
    assert asked(Policy.parse(allow=[f"*.{domain}"]), f"a.{domain}").allowed
    assert asked(Policy.parse(allow=[domain]), domain).allowed


def test_a_policy_that_allows_nothing_more_than_a_name_refuses_others_before_the_look_up() -> None:
    """Where only names are allowed, no other name is even resolved."""
    policy = Policy.parse(allow=["example.com:443"])
    assert not asked(policy, "other.example", 443).allowed
    assert not asked(policy, "example.com", 80).allowed
    assert asked(policy, "example.com", 443).allowed


@given(inner=IPV4, denied=st.booleans())
def test_a_refused_ipv4_address_is_refused_in_each_ipv6_form(inner: IPv4Address, denied: bool) -> None:
    """No spelling in IPv6 makes a refused IPv4 address reachable, not even where all of IPv6 is allowed."""
    wide = ["public", "::/0"]
    for policy in (DEFAULT, Policy.parse(allow=wide, deny=[str(inner)] if denied else [])):
        if not decide(policy, Target(str(inner), 22)).allowed:
            for name, form in FORMS.items():
                outer = IPv6Address(form(int(inner)))
                if policy is not DEFAULT and int(outer) <= 1:
                    continue  # "::" and "::1" are addresses of IPv6 itself, which ::/0 allows
                assert not decide(policy, Target(str(outer), 22)).allowed, name
                assert not decide(policy, Target("example.com", 22), [outer]).allowed, name


@given(st.ip_addresses(), st.integers(1, 65535))
def test_a_reason_is_a_short_line_of_ascii(address: Address, port: int) -> None:
    """Whatever is judged, the reason fits a log line."""
    for policy in (DEFAULT, Policy.parse(allow=["::/0", "0.0.0.0/0:22"], deny=["public:80"])):
        reason = decide(policy, Target(str(address), port)).reason
        assert reason.isascii()
        assert reason.isprintable()
        assert 0 < len(reason) <= 250


def test_a_reason_stays_short_for_long_names_and_rules() -> None:
    """Neither a long host nor a long rule makes a long reason."""
    host = ".".join(["a" * 60] * 4)
    rules = [f"{host}:{','.join(['22'] * 200)}"]
    for policy in (Policy.parse(allow=rules), Policy.parse(deny=rules), DEFAULT):
        for port in (22, 25, 80):
            assert len(asked(policy, host, port).reason) <= 250
    assert len(decide(DEFAULT, Target.parse(host, 22), []).reason) <= 250


def test_one_string_is_not_a_list_of_rules() -> None:
    """A forgotten pair of brackets is an error, not a rule per character."""
    with pytest.raises(TypeError, match="got one string"):
        Policy.parse(allow="public")


@given(RULE_TEXT)
def test_no_rule_but_an_exact_one_opens_metadata(text: str) -> None:
    """Unless the rule is that one address, no metadata address is let through."""
    try:
        policy = Policy.parse(allow=[text])
    except RuleError:
        return
    if policy.allow[0].block is None or not policy.allow[0].block.single:
        for row in TABLE:
            if row.reach is Reach.METADATA:
                assert not decide(policy, Target(str(row.block[0]), 80)).allowed


#: A machine with a public address in a /24, one alone, one on a link to a peer, and IPv6.
LOCAL = LocalNetworks.of(
    [
        ip_interface("93.184.216.34/24"),
        ip_interface("198.35.26.96"),
        ip_interface("10.0.0.5/8"),
        ip_interface("2606:2800:220:1::34/64"),
    ],
    peers=[ip_interface("91.198.174.192")],
)
#: (allow, deny, (host, port, addresses...), whether allowed), on that machine
LOCAL_DECISIONS: list[tuple[list[str], list[str], tuple[str, int, *tuple[str, ...]], bool]] = [
    (["public"], [], ("93.184.216.34", 22), False),
    (["public"], [], ("93.184.216.1", 22), False),
    (["public"], [], ("93.184.217.1", 22), True),
    (["public"], [], ("198.35.26.96", 22), False),
    (["public"], [], ("198.35.26.97", 22), True),
    (["public"], [], ("91.198.174.192", 22), False),
    (["public"], [], ("91.198.174.193", 22), True),
    (["public"], [], ("2606:2800:220:1::34", 22), False),
    (["public"], [], ("2606:2800:220:1:ffff::", 22), False),
    (["public"], [], ("2606:2800:220:2::", 22), True),
    (["public"], [], ("::ffff:93.184.216.34", 22), False),
    (["public"], [], ("64:ff9b::93.184.216.34", 22), False),
    (["public"], [], ("2606:2800:220:9::5efe:93.184.216.1", 22), False),
    # a name that leads there
    (["public"], [], ("example.com", 22, "93.184.216.34"), False),
    (["public"], [], ("example.com", 22, "8.8.8.8", "93.184.216.34"), False),
    (["example.com"], [], ("example.com", 22, "93.184.216.34"), False),
    (["example.com"], [], ("example.com", 22, "8.8.8.8"), True),
    # rules that name the address or the block
    (["93.184.216.34"], [], ("93.184.216.34", 22), True),
    (["93.184.216.34"], [], ("93.184.216.1", 22), False),
    (["93.184.216.0/24:443"], [], ("93.184.216.1", 443), True),
    (["93.184.216.0/24:443"], [], ("93.184.216.1", 22), False),
    (["public", "93.184.216.34:443"], [], ("93.184.216.34", 443), True),
    (["0.0.0.0/0"], [], ("93.184.216.34", 22), True),
    (["2606:2800:220:1::34"], [], ("2606:2800:220:1::34", 22), True),
    (["example.com=93.184.216.34"], [], ("example.com", 22, "93.184.216.34"), True),
    (["example.com=93.184.216.34"], [], ("93.184.216.34", 22), False),
    (["64:ff9b::/96", "public"], [], ("64:ff9b::93.184.216.34", 22), False),
    (["64:ff9b::/96", "93.184.216.34"], [], ("64:ff9b::93.184.216.34", 22), True),
    # a deny of public reaches them, as it reaches every public address
    (["93.184.216.34"], ["public"], ("93.184.216.34", 22), False),
    (["0.0.0.0/0"], ["public"], ("93.184.216.1", 22), False),
    (["::/0", "93.184.216.34"], ["public"], ("64:ff9b::93.184.216.34", 22), False),
    (["0.0.0.0/0"], ["public"], ("10.0.0.5", 22), True),
    (["0.0.0.0/0"], ["public"], ("8.8.8.8", 22), False),
    (["93.184.216.34"], ["93.184.216.0/24"], ("93.184.216.34", 22), False),
    # loopback is as it was
    (["127.0.0.1/32:7000"], [], ("127.0.0.1", 7000), True),
    (["public"], [], ("10.0.0.5", 22), False),
]


@pytest.mark.parametrize(("allow", "deny", "question", "allowed"), LOCAL_DECISIONS)
def test_public_never_covers_this_machine_or_its_neighbours(
    allow: list[str], deny: list[str], question: tuple[str, int, *tuple[str, ...]], allowed: bool
) -> None:
    """They are inside the firewall; a rule that names the address or the block opens them."""
    host, port, *addresses = question
    target = Target.parse(host, port)
    policy = Policy.parse(allow=allow, deny=deny)
    verdict = decide(policy, target, list(map(ip_address, addresses)) or None, local=LOCAL)
    assert verdict.allowed is allowed, verdict.reason


def test_nothing_is_public_while_the_interfaces_are_unknown() -> None:
    """Any address could be this machine's; a rule that names it still counts."""
    unknown = LocalNetworks(known=False)
    verdict = decide(DEFAULT, Target("8.8.8.8", 22), local=unknown)
    assert verdict == Verdict(
        False, "8.8.8.8 is maybe this machine's own (its interfaces can't be read) and no rule allows it"
    )
    assert not decide(DEFAULT, Target("2606:2800::1", 22), local=unknown).allowed
    assert decide(Policy.parse(allow=["8.8.8.8"]), Target("8.8.8.8", 22), local=unknown).allowed
    closed = Policy.parse(allow=["0.0.0.0/0"], deny=["public"])
    assert not decide(closed, Target("8.8.8.8", 22), local=unknown).allowed


@given(st.ip_addresses(), st.lists(st.tuples(st.ip_addresses(), st.integers(0, 128)), max_size=4))
def test_local_networks_only_ever_close(address: Address, interfaces: list[tuple[Address, int]]) -> None:
    """On no machine is anything public that is not public elsewhere."""
    own = [ip_interface(f"{ip}/{min(length, ip.max_prefixlen)}") for ip, length in interfaces]
    local = LocalNetworks.of(own)
    for asked_for in (address, *(interface.ip for interface in own)):
        target = Target(str(asked_for), 22)
        assert decide(DEFAULT, target).allowed or not decide(DEFAULT, target, local=local).allowed
    assert not any(decide(DEFAULT, Target(str(interface.ip), 22), local=local).allowed for interface in own)

"""``check`` decides as the policy does, and says why."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_interface

import pytest

from portofcall.egress.check import Finding, Resolve
from portofcall.egress.check import check as check_on
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.policy import Policy
from portofcall.target import Address, Target
from tests.support import corpus

DEFAULT = Policy.parse()
#: The words of the corpus, and those of a finding.
WORDS = {"allow": "allowed", "block": "blocked", "invalid": "invalid"}


def check(policy: Policy, host: str, port: str, *, resolve: Resolve | None = None) -> Finding:
    """Judge a target on a machine without public addresses."""
    return check_on(policy, host, port, local=LocalNetworks(), resolve=resolve)


def answering(names: dict[str, list[str]]) -> Resolve:
    """Make a resolver that knows these names."""

    def resolve(name: str) -> Sequence[Address]:
        if name not in names:
            raise OSError("Name or service not known")
        return [ip_address(address) for address in names[name]]

    return resolve


@pytest.mark.parametrize(
    ("host", "port", "line"),
    [
        ("8.8.8.8", "53", 'allowed 8.8.8.8 port 53: allowed: allowed by rule "public"'),
        (
            "127.0.0.1",
            "22",
            "blocked 127.0.0.1 port 22: blocked: 127.0.0.1 is loopback (RFC 1122 section 3.2.1.3) and no "
            "rule allows it",
        ),
        ("9.9.9.9", "53", 'blocked 9.9.9.9 port 53: blocked: denied by rule "9.9.0.0/16"'),
        (
            "127.1",
            "22",
            "invalid 127.1 port 22: invalid-target: host: expected four decimal numbers, or a name that ends "
            'in no number, got "127.1"',
        ),
        (
            "8.8.8.8",
            "0",
            'invalid 8.8.8.8 port 0: invalid-target: port: expected 1 to 65535 in digits, got "0"',
        ),
        (
            "a.example.com",
            "22",
            'allowed a.example.com port 22: allowed: rule "public" may allow a.example.com, depending on its '
            "addresses; not resolved (use --resolve)",
        ),
    ],
)
def test_line_has_verdict_slug_and_reason(host: str, port: str, line: str) -> None:
    """With the rule or the table's row that decided."""
    assert check(Policy.parse(deny=["9.9.0.0/16"]), host, port).line() == line


def test_resolved_name_is_judged_by_every_address() -> None:
    """One private address among them refuses it, and all are in the finding."""
    resolve = answering({"db.example.com": ["93.184.215.14", "10.0.0.1"]})
    finding = check(DEFAULT, "db.example.com", "22", resolve=resolve)
    assert (finding.verdict, finding.slug) == ("blocked", "blocked")
    assert "10.0.0.1 is private" in finding.reason
    assert finding.addresses == ("93.184.215.14", "10.0.0.1")


@pytest.mark.parametrize("names", [{}, {"no.example.com": []}])
def test_name_without_address_is_blocked_as_not_found(names: dict[str, list[str]]) -> None:
    """Whether the resolver fails or returns nothing."""
    finding = check(DEFAULT, "no.example.com", "22", resolve=answering(names))
    assert (finding.verdict, finding.slug, finding.addresses) == ("blocked", "name-not-found", ())
    assert (
        finding.reason == "no.example.com has no address (search domains are not applied: use the full name)"
    )


def test_refused_name_is_not_resolved() -> None:
    """Its text is enough."""

    def resolve(name: str) -> Sequence[Address]:
        raise AssertionError(name)

    assert check(DEFAULT, "db.internal", "22", resolve=resolve).verdict == "blocked"


def test_corpus_has_the_same_verdicts_here() -> None:
    """By the text alone where the corpus has no addresses, and by every address where it has."""
    for verdict, host, port, addresses, trick in corpus():
        names = {Target.parse(host, port).host: list(map(str, addresses))} if addresses is not None else {}
        resolve = answering(names) if addresses is not None else None
        assert check(DEFAULT, host, str(port), resolve=resolve).verdict == WORDS[verdict], trick


def test_reason_names_the_network_of_this_machine() -> None:
    """So that people see why an address that looks public is blocked, and what to allow."""
    local = LocalNetworks.of([ip_interface("93.184.216.34/24")])
    finding = check_on(DEFAULT, "93.184.216.34", "443", local=local)
    assert (finding.verdict, finding.reason) == (
        "blocked",
        "93.184.216.34 is an address of this machine (93.184.216.0/24) and no rule allows it",
    )
    finding = check_on(DEFAULT, "93.184.216.1", "443", local=local)
    assert (finding.verdict, finding.reason) == (
        "blocked",
        "93.184.216.1 is in a network of this machine (93.184.216.0/24) and no rule allows it",
    )
    assert check_on(DEFAULT, "93.184.217.1", "443", local=local).verdict == "allowed"
    assert (
        check_on(Policy.parse(allow=["93.184.216.1"]), "93.184.216.1", "443", local=local).verdict
        == "allowed"
    )

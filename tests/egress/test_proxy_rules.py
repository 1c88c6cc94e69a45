"""The first rule of --send-proxy that matches a target decides which header it gets."""

from ipaddress import ip_address
from pathlib import PurePosixPath

import pytest

from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.proxy_rules import Destination, ProxyRule, header_for
from portofcall.egress.rules import RuleError
from portofcall.target import Target, TargetName

V1, V2, NONE = "v1", "v2", "none"


def destination(host: str, port: int, address: str = "10.0.0.5", name: str | None = None) -> Destination:
    """A target that was dialled at an address, or at a path; with the name that clients ask for."""
    place = PurePosixPath(host) if host.startswith("/") else Target.parse(host, port)
    endpoint = PurePosixPath(address) if address.startswith("/") else ip_address(address)
    asked = TargetName.parse(name) if name else place
    assert isinstance(asked, Target | TargetName)
    return Destination(target=asked, place=place, endpoint=endpoint)


def version(rules: list[str], target: Destination) -> str:
    """Tell the header's version by its first bytes."""
    header = header_for([ProxyRule.parse(rule) for rule in rules], target, None, LocalNetworks())
    if not header:
        return NONE
    return V1 if header.startswith(b"PROXY ") else V2


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], NONE),
        (["v1"], V1),
        (["v2:*.internal", "v1"], V2),
        (["v2:*.example", "v1"], V1),
        (["v2:db.internal"], V2),
        (["v2:internal"], NONE),
        (["v2:10.0.0.0/8"], V2),
        (["v2:10.0.0.0/8:5432"], V2),
        (["v2:10.0.0.0/8:25"], NONE),
        (["v2:db.internal:1-1024"], NONE),
        (["v2:fd00::/8"], NONE),
        (["v2:public"], NONE),
        (["v1:10.1.0.0/16", "v2:10.0.0.5"], V2),
    ],
)
def test_rules_match_a_host_by_its_name_and_by_its_address(rules: list[str], expected: str) -> None:
    """As those that allow do, ports included."""
    assert version(rules, destination("db.internal", 5432)) == expected


def test_no_ports_include_mail() -> None:
    """A rule that says what a target is told opens nothing, so port 25 needs no word of its own."""
    assert version(["v2:10.0.0.5"], destination("10.0.0.5", 25)) == V2


def test_public_means_public_addresses() -> None:
    """Those of the address table."""
    assert version(["v2:public"], destination("example.com", 443, "93.184.215.14")) == V2


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("v2:db", V2), ("v2:pg.internal", V2), ("v2:10.0.0.5", V2), ("v2:other", NONE)],
)
def test_named_target_is_known_by_its_name_and_by_its_place(rule: str, expected: str) -> None:
    """The operator may write either."""
    assert version([rule], destination("pg.internal", 5432, name="db")) == expected


@pytest.mark.parametrize(
    ("rule", "expected"), [("v2:app", V2), ("v2", V2), ("v2:public", NONE), ("v2:0.0.0.0/0", NONE)]
)
def test_unix_socket_is_known_by_its_name_alone(rule: str, expected: str) -> None:
    """It has no address."""
    assert version([rule], destination("/run/app.sock", 0, "/run/app.sock", name="app")) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("v3", '"v3": expected one of v1, v2, v2-ssl, with optional :RULE'),
        ("", "expected one of v1, v2, v2-ssl"),
        ("v2:a=10.0.0.0/8", "expected a name or a block, not NAME=BLOCK"),
        ("v2:", "expected"),
        ("v2:10.0.0.0/33", "10.0.0.0/33"),
    ],
)
def test_bad_rule_is_named(text: str, problem: str) -> None:
    """With what was expected."""
    with pytest.raises(RuleError) as raised:
        ProxyRule.parse(text)
    assert problem in str(raised.value)

"""An open connection is judged by the requested target and by the address that it goes to."""

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import PurePosixPath

import pytest

from portofcall.egress.judge_again import judge_again
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.named_target import Targets
from portofcall.egress.policy import Policy
from portofcall.errors import Blocked
from portofcall.target import Target, TargetName, Wanted

NAMED = Targets.parse(["db=10.0.0.5:5432", "name=db.example:22", "sock=unix:/run/a", "tls=tls:a.example:993"])
PUBLIC = "93.184.215.14"


def judge(
    target: Wanted, endpoint: str, *, allow: list[str], deny: Sequence[str] = (), targets: Targets = NAMED
) -> str:
    """Return the sentence of the refusal, and what the log has in addition; empty if it is allowed."""
    refusal = judge_again(
        target,
        NAMED.describe(target),
        PurePosixPath(endpoint) if endpoint.startswith("/") else ip_address(endpoint),
        policy=Policy.parse(allow=allow, deny=deny, default=()),
        targets=targets,
        local=LocalNetworks(),
    )
    if refusal is None:
        return ""
    assert isinstance(refusal.error, Blocked)
    return f"{refusal.error.sentence} | {refusal.reason}".removesuffix(" | ")


@pytest.mark.parametrize(
    ("host", "address", "allow", "deny", "allowed"),
    [
        (PUBLIC, PUBLIC, ["public"], [], True),
        (PUBLIC, PUBLIC, ["public"], [PUBLIC], False),
        (PUBLIC, PUBLIC, ["public:443"], [], False),
        ("a.example", PUBLIC, ["public"], [], True),
        ("a.example", PUBLIC, ["public"], ["a.example"], False),
        ("a.example", PUBLIC, ["public"], ["93.184.215.0/24"], False),
        ("a.example", PUBLIC, ["b.example"], [], False),
        ("a.example", "10.0.0.1", ["a.example=10.0.0.0/8"], [], True),
        ("a.example", "10.0.0.1", ["a.example=10.1.0.0/16"], [], False),
        ("a.example", PUBLIC, [], [], False),
    ],
)
def test_target_is_judged_by_its_text_and_by_the_dialled_address(
    host: str, address: str, allow: list[str], deny: list[str], allowed: bool
) -> None:
    """Whatever else the name may resolve to by now."""
    assert (judge(Target(host, 22), address, allow=allow, deny=deny) == "") is allowed


def test_refusal_names_the_rule() -> None:
    """As that of a dial does."""
    assert judge(Target(PUBLIC, 22), PUBLIC, allow=["public"], deny=["public:22"]) == (
        'denied by rule "public:22"'
    )


@pytest.mark.parametrize(
    ("name", "endpoint"), [("db", "10.0.0.5"), ("name", "10.0.0.9"), ("sock", "/run/a"), ("tls", PUBLIC)]
)
def test_named_target_needs_no_rule_as_long_as_it_is_one(name: str, endpoint: str) -> None:
    """Once the operator takes it from the list, or gives its name to something else, it is refused."""
    target = TargetName(name)
    assert judge(target, endpoint, allow=[]) == ""
    assert judge(target, endpoint, allow=[], targets=Targets()) == (
        f"{name} is no target of this gateway any more"
    )
    elsewhere = Targets.parse([f"{name}=10.9.9.9:9"])
    assert judge(target, endpoint, allow=[], targets=elsewhere) == (
        f"{name} leads elsewhere now | now {name} (10.9.9.9:9)"
    )


def test_denied_named_target_is_refused_without_its_address() -> None:
    """The client sees the name only, the log has the rule."""
    assert judge(TargetName("name"), "10.0.0.9", allow=[], deny=["10.0.0.0/8"]) == (
        'name is blocked by the policy of this gateway | denied by rule "10.0.0.0/8"'
    )

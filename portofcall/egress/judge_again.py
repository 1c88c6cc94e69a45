"""Whether a connection that is open would still be allowed."""

from pathlib import PurePosixPath
from typing import NamedTuple

from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.named_target import NamedTarget, Targets
from portofcall.egress.policy import Policy, Undecided
from portofcall.errors import Blocked
from portofcall.target import Address, Target, Wanted


class Refusal(NamedTuple):
    """Why it would not.

    Attributes:
        error: for the client; of a named target it shows the name only.
        reason: for the log; empty if the error has all of it.
    """

    error: Blocked
    reason: str = ""


def judge_again(
    target: Wanted | NamedTarget,
    described: str,
    endpoint: Address | PurePosixPath,
    *,
    policy: Policy,
    targets: Targets,
    local: LocalNetworks,
) -> Refusal | None:
    """Judge an open connection by the requested target and by what was dialled. Nothing is looked up.

    Args:
        target: as it was requested; or one that was looked up then, and is allowed as long as the policy has
            nothing against it.
        described: what `Targets.describe` returned for it then: a named target that leads elsewhere now is
            refused, as one that is gone.
        endpoint: the judged address, or the path, that the connection goes to.
        policy: the rules of now.
        targets: the named targets of now.
        local: this machine's networks.

    Returns:
        None if it is allowed.
    """
    if isinstance(target, Target):
        place, judge = target, policy.judge
    else:
        named = target if isinstance(target, NamedTarget) else targets.get(target)
        if named is None:
            return Refusal(Blocked(f"{target} is no target of this gateway any more"))
        target = named.name
        if str(named) != described:
            return Refusal(Blocked(f"{target} leads elsewhere now"), f"now {named}")
        if isinstance(named.place, PurePosixPath):
            return None
        place, judge = named.place, policy.judge_named
    assert not isinstance(endpoint, PurePosixPath), "only a named target leads to a path"
    verdict = judge(place, local)
    if isinstance(verdict, Undecided):
        verdict = verdict.resolved_to((endpoint,))
    if verdict.allowed:
        return None
    if not isinstance(target, Target):
        return Refusal(Blocked(f"{target} is blocked by the policy of this gateway"), verdict.reason)
    return Refusal(Blocked(verdict.reason))

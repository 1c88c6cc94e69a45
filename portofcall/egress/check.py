"""What the policy says of a target, as one finding; nothing is connected to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portofcall.egress.policy import Policy
from portofcall.errors import Blocked, InvalidTarget, NameNotFound, printable
from portofcall.target import Address, Target

Resolve = Callable[[str], Sequence[Address]]


ALLOWED, BLOCKED, INVALID = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What the policy says of one target.

    Attributes:
        verdict: ``allowed``, ``blocked`` or ``invalid``.
        slug: as in the gateway's errors; ``allowed`` if there is none.
        reason: one sentence, with the rule or the table's row that decided.
        host: as it was read; as it was given, if it is invalid.
        port: likewise.
        addresses: those that were judged.
    """

    verdict: str
    slug: str
    reason: str
    host: str
    port: int | str
    addresses: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status."""
        return {"allowed": ALLOWED, "blocked": BLOCKED, "invalid": INVALID}[self.verdict]

    def line(self) -> str:
        """Write it for people."""
        where = f"{printable(self.host)} port {printable(str(self.port))}"
        return f"{self.verdict} {where}: {self.slug}: {self.reason}"


def check(policy: Policy, host: str, port: str, *, resolve: Resolve | None = None) -> Finding:
    """Judge a target as the gateway would.

    Args:
        policy: the rules.
        host: as a client would send it.
        port: likewise.
        resolve: looks a name up; without it a name is judged by its text only, and the reason says so.
    """
    try:
        target = Target.parse(host, port)
    except InvalidTarget as error:
        return Finding("invalid", error.slug, error.sentence, host, port)
    verdict = policy.judge_name(target)
    addresses: Sequence[Address] = () if target.address is None else (target.address,)
    reason = verdict.reason
    if verdict.allowed and target.address is None:
        if resolve is None:
            reason += "; not resolved, --resolve does"
        else:
            try:
                addresses = resolve(target.host)
            except (OSError, UnicodeError):
                addresses = ()
            if not addresses:
                reason = f"{target.host} has no address"
                return Finding("blocked", NameNotFound.slug, reason, target.host, target.port)
            verdict = policy.judge(target, addresses)
            reason = verdict.reason
    texts = tuple(map(str, addresses))
    if verdict.allowed:
        return Finding("allowed", "allowed", reason, target.host, target.port, texts)
    return Finding("blocked", Blocked.slug, reason, target.host, target.port, texts)

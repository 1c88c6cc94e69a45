"""The policy's decision on one target, as ``portofcall check`` prints it. Nothing is connected to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.policy import Policy, Undecided
from portofcall.errors import Blocked, InvalidTarget, NameNotFound, printable
from portofcall.target import Address, Target

#: From a name to its addresses; raises `OSError` or `UnicodeError` if there are none.
Resolve = Callable[[str], Sequence[Address]]

#: Exit statuses.
ALLOWED, BLOCKED, INVALID = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Finding:
    """The policy's decision on one target.

    Attributes:
        verdict: ``allowed``, ``blocked`` or ``invalid``.
        slug: as in the gateway's errors; ``allowed`` if there is none.
        reason: one sentence, with the rule or the table's row that decided.
        host: in its canonical spelling; as given, if it is invalid.
        port: as a number; as given, if it is invalid.
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
        """Format it for people, as one line."""
        where = f"{printable(self.host)} port {printable(str(self.port))}"
        return f"{self.verdict} {where}: {self.slug}: {self.reason}"


def check(
    policy: Policy, host: str, port: str, *, local: LocalNetworks, resolve: Resolve | None = None
) -> Finding:
    """Judge a target as the gateway would.

    Args:
        policy: the rules.
        host: as a client would send it.
        port: as a client would send it.
        local: this machine's networks, which are not ``public``.
        resolve: looks names up; without it a name is judged by its text only, and the reason says so.
    """
    try:
        target = Target.parse(host, port)
    except InvalidTarget as error:
        return Finding("invalid", error.slug, error.sentence, host, port)
    verdict = policy.judge(target, local)
    addresses: Sequence[Address] = () if target.address is None else (target.address,)
    if isinstance(verdict, Undecided):
        if resolve is None:
            reason = f"{verdict.reason}; not resolved (use --resolve)"
            return Finding("allowed", "allowed", reason, target.host, target.port)
        try:
            addresses = resolve(target.host)
        except (OSError, UnicodeError):
            addresses = ()
        if not addresses:
            reason = (
                f"{printable(target.host)} has no address (search domains are not applied: use the full name)"
            )
            return Finding("blocked", NameNotFound.slug, reason, target.host, target.port)
        verdict = verdict.resolved_to(addresses)
    word, slug = ("allowed", "allowed") if verdict.allowed else ("blocked", Blocked.slug)
    return Finding(word, slug, verdict.reason, target.host, target.port, tuple(map(str, addresses)))

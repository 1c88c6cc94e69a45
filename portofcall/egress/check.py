"""The policy's decision on one target, as ``portofcall check`` prints it. Nothing is connected to."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath

from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.named_target import Targets
from portofcall.egress.policy import Policy, Undecided, Verdict
from portofcall.errors import Blocked, InvalidTarget, NameNotFound, UnknownTarget, printable
from portofcall.target import Address, Target, TargetName

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
        host: in its canonical spelling; as given, if it is invalid; None for a UNIX socket, and where there
            is no target with the name.
        port: as a number; as given, if it is invalid; None where ``host`` is.
        addresses: those that were judged.
        target: the name of the target; None if the client gives host and port.
        path: of a UNIX socket.
    """

    verdict: str
    slug: str
    reason: str
    host: str | None
    port: int | str | None
    addresses: tuple[str, ...] = ()
    target: str | None = None
    path: str | None = None

    @property
    def status(self) -> int:
        """The exit status."""
        return {"allowed": ALLOWED, "blocked": BLOCKED, "invalid": INVALID}[self.verdict]

    def line(self) -> str:
        """Format it for people, as one line."""
        where = []
        if self.target is not None:
            where.append(f"target {printable(self.target)}")
        if self.path is not None:
            where.append(printable(self.path))
        if self.host is not None:
            where.append(f"{printable(self.host)} port {printable(str(self.port))}")
        return f"{self.verdict} {', '.join(where)}: {self.slug}: {self.reason}"

    def fields(self) -> dict[str, object]:
        """Return it as an object for JSON, with the fields that it has."""
        return {name: value for name, value in asdict(self).items() if value is not None}


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
    return _judge(policy.judge, target, local, resolve)


def check_named(
    policy: Policy, targets: Targets, name: str, *, local: LocalNetworks, resolve: Resolve | None = None
) -> Finding:
    """Judge a named target as the gateway would.

    Args:
        policy: the rules.
        targets: those that have names.
        name: as a client would send it.
        local: as for `check`.
        resolve: as for `check`.
    """
    try:
        named = targets.find(TargetName.parse(name))
    except (InvalidTarget, UnknownTarget) as error:
        return Finding("invalid", error.slug, error.sentence, None, None, target=name)
    if isinstance(named.place, PurePosixPath):
        reason = "no rule is about UNIX sockets"
        return Finding("allowed", "allowed", reason, None, None, target=name, path=str(named.place))
    return replace(_judge(policy.judge_named, named.place, local, resolve), target=name)


def _judge(
    judge: Callable[[Target, LocalNetworks], Verdict | Undecided],
    target: Target,
    local: LocalNetworks,
    resolve: Resolve | None,
) -> Finding:
    verdict = judge(target, local)
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

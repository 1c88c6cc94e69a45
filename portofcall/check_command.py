"""``portofcall check``: what the policy says of a target, without going there."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from portofcall.egress import Policy, RuleError
from portofcall.errors import Blocked, InvalidTarget, NameNotFound, printable
from portofcall.policyfile import PolicyFileError, read_policy
from portofcall.resolve import Address, look_up
from portofcall.target import Target

Resolve = Callable[[str], Sequence[Address]]

ALLOWED, BLOCKED, INVALID = 0, 1, 2

#: Longer lines of standard input are not read as one.
_MAX_LINE_CHARACTERS = 10_000


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


def add_arguments(subparsers: Any) -> None:
    """Add the command to those of ``portofcall``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "check",
        help="what the policy says of a target, without going there",
        description="Say what the policy says of a target: allowed (exit status 0), blocked (1) or invalid "
        "(2), and which rule or which row of the address table decided. Never connects.",
    )
    parser.add_argument(
        "--allow", metavar="RULE", action="append", default=[], help="as for twistd portofcall"
    )
    parser.add_argument(
        "--deny", metavar="RULE", action="append", default=[], help="as for twistd portofcall"
    )
    parser.add_argument("--policy", metavar="FILE", type=Path, help="as for twistd portofcall")
    parser.add_argument("--json", action="store_true", help="answer in JSON, one object a line")
    parser.add_argument("--resolve", action="store_true", help="look names up, and judge every answer")
    parser.add_argument("host", metavar="HOST", help="or - to read lines of HOST PORT from standard input")
    parser.add_argument("port", metavar="PORT", nargs="?", help="1 to 65535")
    parser.set_defaults(run=run)


def run(
    args: argparse.Namespace,
    *,
    stdin: IO[str] | None = None,
    stdout: IO[str] | None = None,
    stderr: IO[str] | None = None,
    look_up: Resolve = look_up,
) -> int:
    """Run the command.

    Args:
        args: parsed.
        stdin: where lines are read from.
        stdout: where answers go.
        stderr: where errors of the command line go.
        look_up: resolves names, if asked to.

    Returns:
        The exit status; of several targets, the worst.
    """
    stdin, stdout, stderr = stdin or sys.stdin, stdout or sys.stdout, stderr or sys.stderr
    if isinstance(stdin, TextIOWrapper):
        # A host may be any bytes; those that are no text are invalid, and no reason to stop.
        stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        policy = _policy(args)
    except RuleError as error:
        stderr.write(f"portofcall check: {error}\n")
        return INVALID
    except PolicyFileError as error:
        stderr.write(f"portofcall check: --policy: {error}\n")
        return INVALID
    if (args.host == "-") != (args.port is None):
        stderr.write("portofcall check: expected HOST PORT, or - alone\n")
        return INVALID
    resolve = look_up if args.resolve else None
    worst = ALLOWED
    for host, port in _lines(stdin) if args.host == "-" else [(args.host, args.port)]:
        finding = check(policy, host, port, resolve=resolve)
        stdout.write((json.dumps(asdict(finding)) if args.json else finding.line()) + "\n")
        stdout.flush()
        worst = max(worst, finding.status)
    return worst


def _policy(args: argparse.Namespace) -> Policy:
    if args.policy is None:
        return Policy.parse(allow=args.allow, deny=args.deny)
    return read_policy(args.policy, allow=args.allow, deny=args.deny)


def _lines(stdin: IO[str]) -> Iterator[tuple[str, str]]:
    """Read targets: the last field of a line is the port, whatever stands before it is the host."""
    while line := stdin.readline(_MAX_LINE_CHARACTERS):
        rest = line
        while rest and not rest.endswith("\n"):
            rest = stdin.readline(_MAX_LINE_CHARACTERS)
        # Of a line that was too long, what was read first names no port.
        host, _, port = line.rstrip("\r\n").rpartition(" ")
        yield host, port

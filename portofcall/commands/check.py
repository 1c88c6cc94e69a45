"""``portofcall check``: the policy's decision on a target, without connecting to it."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from portofcall.commands import Once
from portofcall.egress.check import ALLOWED, INVALID, Resolve, check, check_named
from portofcall.egress.interfaces import Interfaces
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.named_target import TargetsError
from portofcall.egress.policy import DEFAULT_ALLOW
from portofcall.egress.policy_file import PolicyFileError, read_policy
from portofcall.egress.resolver import look_up
from portofcall.egress.rules import RuleError
from portofcall.egress.target_file import TargetFile, read_all_targets

#: A longer line of standard input is one invalid target.
_MAX_LINE_CHARACTERS = 10_000


def add_arguments(subparsers: Any) -> None:
    """Add the command to those of ``portofcall``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "check",
        help="the policy's decision on a target, without connecting to it",
        description="Print the policy's decision on a target: allowed (exit status 0), blocked (1) or "
        "invalid (2), and the rule or the row of the address table that decided. Never connects.",
    )
    parser.add_argument(
        "--allow", metavar="RULE", action="append", default=[], help="as for twistd portofcall"
    )
    parser.add_argument(
        "--deny", metavar="RULE", action="append", default=[], help="as for twistd portofcall"
    )
    parser.add_argument("--policy", metavar="FILE", action=Once, type=Path, help="as for twistd portofcall")
    parser.add_argument(
        "--target", metavar="NAME=TARGET", action="append", default=[], help="as for twistd portofcall"
    )
    parser.add_argument(
        "--target-file",
        metavar="FILE",
        action="append",
        default=[],
        type=TargetFile.parse,
        help="as for twistd portofcall",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")
    parser.add_argument("--resolve", action="store_true", help="resolve names, and judge every address")
    parser.add_argument(
        "host",
        metavar="HOST",
        help="a name or an address; without PORT the name of a target; - reads lines of HOST PORT or NAME "
        "from standard input",
    )
    parser.add_argument("port", metavar="PORT", nargs="?", help="1 to 65535")
    parser.set_defaults(run=run)


def run(
    args: argparse.Namespace,
    *,
    stdin: IO[str] | None = None,
    stdout: IO[str] | None = None,
    stderr: IO[str] | None = None,
    look_up: Resolve = look_up,
    local_networks: Callable[[], LocalNetworks] | None = None,
) -> int:
    """Run the command.

    Args:
        args: parsed.
        stdin: the source of lines; None means standard input.
        stdout: for findings; None means standard output.
        stderr: for errors of the command line; None means standard error.
        look_up: resolves names, with ``--resolve``.
        local_networks: returns this machine's networks; None means those of its interfaces.

    Returns:
        The exit status; of several targets, the worst.
    """
    stdin, stdout, stderr = stdin or sys.stdin, stdout or sys.stdout, stderr or sys.stderr
    if isinstance(stdin, TextIOWrapper):
        # A host may be any bytes; those that are not UTF-8 make an invalid target, not a traceback.
        stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        targets = read_all_targets(args.target, args.target_file)
        default = () if args.target or args.target_file else DEFAULT_ALLOW
        policy = read_policy(args.policy, allow=args.allow, deny=args.deny, default=default)
    except (RuleError, TargetsError) as error:
        stderr.write(f"portofcall check: {error}\n")
        return INVALID
    except PolicyFileError as error:
        stderr.write(f"portofcall check: --policy: {error}\n")
        return INVALID
    if args.host == "-" and args.port is not None:
        stderr.write("portofcall check: expected - alone, or HOST PORT\n")
        return INVALID
    if args.host != "-" and args.port is None and not targets.by_name:
        stderr.write("portofcall check: expected HOST PORT, or - alone, or --target or --target-file\n")
        return INVALID
    resolve = look_up if args.resolve else None
    local_networks = local_networks or Interfaces(monotonic=time.monotonic).networks
    worst = ALLOWED
    for host, port in _lines(stdin) if args.host == "-" else [(args.host, args.port)]:
        if port is None and targets.by_name:
            finding = check_named(policy, targets, host, local=local_networks(), resolve=resolve)
        else:
            finding = check(policy, host, port or "", local=local_networks(), resolve=resolve)
        stdout.write((json.dumps(finding.fields()) if args.json else finding.line()) + "\n")
        stdout.flush()
        worst = max(worst, finding.status)
    return worst


def _lines(stdin: IO[str]) -> Iterator[tuple[str, str | None]]:
    """Read targets: after the last space of a line is the port, before it the host; without one a name."""
    while line := stdin.readline(_MAX_LINE_CHARACTERS):
        rest = line
        while rest and not rest.endswith("\n"):
            rest = stdin.readline(_MAX_LINE_CHARACTERS)
        # The start of a line that was too long has no valid port.
        host, space, port = line.rstrip("\r\n").rpartition(" ")
        yield (host, port) if space else (port, None)

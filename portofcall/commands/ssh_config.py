"""``portofcall ssh-config``: the block of ~/.ssh/config that sends ssh through a gateway."""

import argparse
import re
import shlex
import sys
from typing import Any

from portofcall.commands import Once
from portofcall.commands.client_arguments import add_gateway

#: The exit status for an invalid command line.
USAGE_STATUS = 1
#: Patterns of ssh_config(5), without white space and quotes, which would begin something else.
_PATTERNS = re.compile(r"[A-Za-z0-9._:*?!-]+")


def add_arguments(subparsers: Any) -> None:
    """Add the command to those of ``portofcall``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ssh-config",
        help="a Host block for ~/.ssh/config",
        description="Print a Host block for ~/.ssh/config, with which ssh, scp, rsync and git go through a "
        "gateway. Options for credentials, TLS and proxies belong in config.toml; see docs/client.md.",
    )
    add_gateway(parser, help="a URL without a password, or a name in config.toml")
    parser.add_argument(
        "--host",
        metavar="PATTERN",
        action="append",
        dest="patterns",
        type=_pattern,
        help="the hosts behind the gateway, as in ssh_config(5); repeatable [default: *.internal]",
    )
    parser.add_argument(
        "--program",
        metavar="PATH",
        action=Once,
        default="portofcall",
        help="the program [default: portofcall]",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the block; return the exit status."""
    if not args.gateway.isprintable() or "@" in args.gateway.partition("://")[2].partition("/")[0]:
        sys.stderr.write(
            "portofcall ssh-config: usage: GATEWAY: expected no user and password in it; "
            "put them into config.toml\n"
        )
        return USAGE_STATUS
    # No ControlPersist: with it, ssh discards the standard error of a ProxyCommand, which has the reasons.
    # ssh replaces % itself, and gives the rest to the shell.
    program, gateway = (shlex.quote(text).replace("%", "%%") for text in (args.program, args.gateway))
    sys.stdout.write(
        f"Host {' '.join(args.patterns or ['*.internal'])}\n"
        f"    ProxyCommand {program} connect {gateway} %h %p\n"
        "    # One tunnel for all sessions with a host at the same time, opened by the first\n"
        "    ControlMaster auto\n"
        "    ControlPath ~/.ssh/portofcall-%C\n"
    )
    return 0


def _pattern(text: str) -> str:
    if not _PATTERNS.fullmatch(text):
        raise argparse.ArgumentTypeError("expected a pattern of ssh_config(5) without spaces")
    return text

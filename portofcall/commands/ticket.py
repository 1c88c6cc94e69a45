"""``portofcall ticket``: print a signed ticket."""

import argparse
import sys
import time
from pathlib import Path

from portofcall.access.ticket_key import MAX_LIFETIME_SECONDS, TicketKey
from portofcall.commands import Once
from portofcall.errors import printable

DEFAULT_TTL_SECONDS = 60

_DESCRIPTION = """\
Print a signed ticket. Its bearer may open a tunnel:
wss://GATEWAY/api/connect?host=HOST&port=PORT&ticket=TICKET
"""


def add_arguments(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``portofcall``."""
    parser = subparsers.add_parser(
        "ticket",
        help="print a signed ticket",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--key",
        metavar="FILE",
        action=Once,
        required=True,
        help="the key: a secret of at least 32 bytes (HS256), or an Ed25519 private key in PEM (EdDSA)",
    )
    parser.add_argument(
        "--host", action=Once, help="the only host that the ticket is good for [default: any]"
    )
    parser.add_argument(
        "--port", action=Once, type=_whole, help="the only port that it is good for [default: any]"
    )
    parser.add_argument(
        "--target",
        metavar="NAME",
        action=Once,
        help="the only named target that the ticket is good for, without --host and --port [default: any]",
    )
    parser.add_argument("--subject", action=Once, help="the user's name in the gateway's log [default: none]")
    parser.add_argument(
        "--ttl",
        metavar="SECONDS",
        action=Once,
        type=_whole,
        default=DEFAULT_TTL_SECONDS,
        help=f"lifetime, up to {MAX_LIFETIME_SECONDS} [default: {DEFAULT_TTL_SECONDS} seconds]",
    )
    parser.add_argument(
        "--session",
        metavar="SECONDS",
        action=Once,
        type=_whole,
        help="time from now until a tunnel that the ticket opens is ended [default: never]",
    )
    parser.add_argument("--once", action="store_true", help="good for one connection [default: off]")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a ticket.

    Args:
        args: parsed.

    Returns:
        The exit status: 0, or 2 after one line on standard error if the key or a value is invalid.
    """
    try:
        token = _key(args.key).issue(
            now=time.time(),
            ttl_seconds=args.ttl,
            session_seconds=args.session,
            subject=args.subject,
            host=args.host,
            port=args.port,
            target=args.target,
            once=args.once,
        )
    except ValueError as problem:
        sys.stderr.write(f"portofcall ticket: {problem}\n")
        return 2
    sys.stdout.write(f"{token}\n")
    return 0


def _key(path: str) -> TicketKey:
    try:
        return TicketKey.read(Path(path))
    except ValueError as problem:
        raise ValueError(f"--key {printable(path)}: {problem}") from None


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError("expected a whole number")
    return int(text)

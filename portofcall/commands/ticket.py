"""``portofcall ticket``: makes a signed ticket and prints it."""

import argparse
import sys
import time
from pathlib import Path

from portofcall.access.ticket_key import MAX_KEY_BYTES, MAX_LIFETIME_SECONDS, TicketKey
from portofcall.errors import printable

DEFAULT_TTL_SECONDS = 60

_DESCRIPTION = """\
Make a signed ticket and print it. Whoever has it may open a tunnel:
wss://GATEWAY/api/connect?host=HOST&port=PORT&ticket=TICKET
"""


def add_arguments(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command ``ticket``; its ``run`` is `run`.

    Args:
        subparsers: what `argparse.ArgumentParser.add_subparsers` returned.
    """
    parser = subparsers.add_parser(
        "ticket",
        help="make a signed ticket",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--key",
        metavar="FILE",
        required=True,
        help="the key: a secret of at least 32 bytes (HS256), or an Ed25519 private key in PEM (EdDSA)",
    )
    parser.add_argument("--host", help="the only host that the ticket admits [default: any]")
    parser.add_argument("--port", type=_whole, help="the only port that it admits [default: any]")
    parser.add_argument(
        "--subject", help="who it is for, as the gateway's log will show it [default: nobody]"
    )
    parser.add_argument(
        "--ttl",
        metavar="SECONDS",
        type=_whole,
        default=DEFAULT_TTL_SECONDS,
        help=f"how long it lives, up to {MAX_LIFETIME_SECONDS} [default: {DEFAULT_TTL_SECONDS} seconds]",
    )
    parser.add_argument("--once", action="store_true", help="it admits one connection only [default: off]")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a ticket.

    Args:
        args: parsed by the arguments of `add_arguments`.

    Returns:
        The exit status: 0, or 2 after one line on standard error where the key or a value is not what it must
        be.
    """
    try:
        token = _key(args.key).issue(
            now=time.time(),
            ttl_seconds=args.ttl,
            subject=args.subject,
            host=args.host,
            port=args.port,
            once=args.once,
        )
    except ValueError as problem:
        sys.stderr.write(f"portofcall ticket: {problem}\n")
        return 2
    sys.stdout.write(f"{token}\n")
    return 0


def _key(path: str) -> TicketKey:
    try:
        with Path(path).open("rb") as file:
            return TicketKey.load(file.read(MAX_KEY_BYTES + 1))
    except OSError as problem:
        raise ValueError(f"--key {printable(path)}: {problem.strerror}") from None
    except ValueError as problem:
        raise ValueError(f"--key {printable(path)}: {problem}") from None


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError("expected a whole number")
    return int(text)

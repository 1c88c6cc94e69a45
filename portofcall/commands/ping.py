"""``portofcall ping``: the time of TCP handshakes between the gateway and a target."""

import argparse
from typing import Any

from portofcall.commands.client_arguments import add_gateway_arguments, add_target_arguments, seconds

#: The exit status for an invalid command line.
USAGE_STATUS = 1


def add_arguments(subparsers: Any) -> None:
    """Add the command to those of ``portofcall``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ping",
        help="time TCP handshakes between a gateway and a target",
        description="Have a gateway connect to a target repeatedly, and print how long that takes. "
        "Ctrl-C prints the summary.",
    )
    add_gateway_arguments(parser)
    add_target_arguments(parser)
    parser.add_argument(
        "-c", "--count", metavar="N", type=_count, help="stop after this many [default: on Ctrl-C]"
    )
    parser.add_argument(
        "-i",
        "--interval",
        metavar="SECONDS",
        type=seconds,
        default=1.0,
        help="between two of them [default: 1]",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError("expected a number of at least 1")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    # Imported here: no other command needs them.
    from portofcall.client.connection import Gateway  # noqa: PLC0415
    from portofcall.client.pings import Pings  # noqa: PLC0415
    from portofcall.commands.reactor import run_with_target  # noqa: PLC0415

    async def work(reactor: Any, route: Any, target: Any, report: Any) -> None:
        gateway = Gateway(reactor, route, say=report.step)
        gateway.check()
        pings = Pings(target, as_json=args.json)
        try:
            await pings.run(gateway, reactor, count=args.count, interval_seconds=args.interval)
        finally:
            pings.summarize()

    return run_with_target("ping", args, work)

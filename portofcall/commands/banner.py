"""``portofcall banner``: how a target identifies itself as an SSH server."""

import argparse
import json
import sys
from typing import Any

from portofcall.commands.client_arguments import add_gateway_arguments, add_target_arguments

#: The exit status for an invalid command line.
USAGE_STATUS = 1


def add_arguments(subparsers: Any) -> None:
    """Add the command to those of ``portofcall``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "banner",
        help="the identification of an SSH server",
        description="Have a gateway connect to an SSH server, and print how that identifies itself.",
    )
    add_gateway_arguments(parser)
    add_target_arguments(parser, port_default="22")
    parser.add_argument("--json", action="store_true", help="print the gateway's JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    # Imported here: no other command needs them.
    from portofcall.client.api import banner  # noqa: PLC0415
    from portofcall.client.connection import Gateway  # noqa: PLC0415
    from portofcall.commands.reactor import run_with_target  # noqa: PLC0415
    from portofcall.errors import printable  # noqa: PLC0415

    async def work(reactor: Any, route: Any, target: Any, report: Any) -> None:
        gateway = Gateway(reactor, route, say=report.step)
        gateway.check()
        fields = await banner(gateway, target)
        sys.stdout.write((json.dumps(fields) if args.json else printable(fields["banner"], 300)) + "\n")

    return run_with_target("banner", args, work)

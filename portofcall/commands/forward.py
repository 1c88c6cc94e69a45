"""``portofcall forward``: local ports and a SOCKS server, whose connections go through a gateway."""

import argparse
from typing import Any

from portofcall.commands.forward_options import (
    DESCRIPTION,
    MakeForwarder,
    add_forward_arguments,
    parse_forward_arguments,
)

#: The exit status for an invalid command line.
USAGE_STATUS = 1

_EPILOG = """\
Example: portofcall forward wss://gw.example -L 5432:db.internal:5432 -D 1080
"""


def add_arguments(subparsers: Any) -> None:
    """Add the command to those of ``portofcall``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "forward",
        help="local ports and a SOCKS server, through a gateway",
        description=DESCRIPTION,
        epilog=_EPILOG,
    )
    add_forward_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until interrupted; return the exit status."""
    # Imported here: no other command needs them.
    from twisted.internet.defer import Deferred  # noqa: PLC0415

    from portofcall.client.options import make_report  # noqa: PLC0415
    from portofcall.commands.reactor import run_prepared  # noqa: PLC0415
    from portofcall.descriptor_limit import raise_limit  # noqa: PLC0415

    report = make_report("portofcall forward", args)

    async def forward(reactor: Any, make_forwarder: MakeForwarder) -> None:
        raise_limit(reactor)
        forwarder = make_forwarder(reactor)
        await forwarder.start()
        try:
            await Deferred()
        finally:
            # The connections are reset: their end must not look like that of a target.
            await forwarder.stop()

    return run_prepared(lambda: parse_forward_arguments(args, report), forward, report)

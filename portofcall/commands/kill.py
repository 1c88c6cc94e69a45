"""``portofcall kill``: end tunnels of a running gateway."""

import argparse
import sys
from urllib.parse import quote, urlencode

from portofcall.commands.admin_api import (
    AdminAPI,
    AdminError,
    add_admin_arguments,
    add_filter_arguments,
    filters,
)

#: Exit statuses: no such tunnel, and a request that could not be made.
NONE, FAILED = 1, 2


def add_arguments(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``portofcall``."""
    parser = subparsers.add_parser(
        "kill",
        help="end tunnels of a running gateway",
        description="End tunnels, by their ids or by what they have in common, which `portofcall tunnels` "
        "shows. What is queued for a client is delivered, then it gets Close 4410; a tunnel that is closing "
        "already is reset. Exit status: 0 if a tunnel was ended, 1 if there was none, 2 if the gateway could "
        "not be asked.",
    )
    add_admin_arguments(parser)
    add_filter_arguments(parser)
    parser.add_argument(
        "ids", metavar="ID", nargs="*", help="a tunnel, instead of --client, --subject, --target"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Args:
        args: parsed.

    Returns:
        The exit status.
    """
    wanted = filters(args)
    if bool(wanted) == bool(args.ids):
        sys.stderr.write(
            "portofcall kill: expected either ids, or some of --client, --subject and --target\n"
        )
        return FAILED
    paths = [f"/tunnels/{quote(tunnel_id, safe='')}" for tunnel_id in args.ids]
    ended = 0
    try:
        admin = AdminAPI(args)
        for path in paths or [f"/tunnels?{urlencode(wanted)}"]:
            response = admin.request("DELETE", path)
            ended += 0 if response is None else response["ended"]
    except AdminError as problem:
        sys.stderr.write(f"portofcall kill: {problem}\n")
        return FAILED
    sys.stdout.write(f"ended {ended} tunnel{'' if ended == 1 else 's'}\n")
    return 0 if ended else NONE

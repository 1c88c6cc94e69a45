"""``portofcall connect``: standard input and output to a target."""

import argparse
from typing import Any

from portofcall.commands.client_arguments import add_gateway_arguments, add_target_arguments

#: The exit status for an invalid command line.
USAGE_STATUS = 1

_EPILOG = """\
With ssh: ssh -o ProxyCommand='portofcall connect wss://gw.example %h %p' HOST
"""


def add_arguments(subparsers: Any) -> None:
    """Add the command to those of ``portofcall``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "connect",
        help="standard input and output to a target",
        description="Connect standard input and output to a target through a gateway.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_gateway_arguments(parser)
    add_target_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    # Imported here: no other command needs them.
    from portofcall.client.connection import Gateway  # noqa: PLC0415
    from portofcall.client.patient_readiness import SingleTunnelReadiness  # noqa: PLC0415
    from portofcall.client.stdio import StdioEnd  # noqa: PLC0415
    from portofcall.client.tunnel import ClientTunnel  # noqa: PLC0415
    from portofcall.commands.reactor import run_with_target  # noqa: PLC0415

    async def work(reactor: Any, route: Any, target: Any, report: Any) -> None:
        gateway = Gateway(reactor, route, readiness=SingleTunnelReadiness(reactor), say=report.step)
        gateway.check()

        def local(tunnel: ClientTunnel) -> StdioEnd:
            tunnel.on_problem = report.problem
            return StdioEnd(0, 1, reactor=reactor, readiness=gateway.readiness)

        tunnel = await gateway.open(target, local)
        try:
            await tunnel.closed
        finally:
            up, down = tunnel.to_client.passed_bytes, tunnel.to_backend.passed_bytes
            report.step(f"the tunnel has ended: {up} bytes up, {down} bytes down")

    return run_with_target("connect", args, work)

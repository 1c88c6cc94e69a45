"""The arguments of ``portofcall forward`` and ``twistd portofcall-forward``, and what they make."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portofcall.commands import Once
from portofcall.commands.client_arguments import add_gateway_arguments, seconds_or_0

if TYPE_CHECKING:
    from portofcall.client.forwarder import Forwarder
    from portofcall.client.report import Report

DESCRIPTION = (
    "Listen on local ports, and open a tunnel through a gateway for each connection: to a given target (-L), "
    "or as a SOCKS5 server, whose clients name it (-D). Listeners are on loopback unless BIND or -g says "
    "otherwise."
)


def add_forward_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_gateway_arguments(parser)
    group = parser.add_argument_group("forwarding")
    group.add_argument(
        "-L",
        dest="local",
        metavar="[BIND:]PORT:HOST:PORT",
        action="append",
        default=[],
        help="listen on a port, or on a UNIX socket with /PATH:HOST:PORT; the name of a target may replace "
        "HOST:PORT; port 0 is any free one; repeatable",
    )
    group.add_argument(
        "-D",
        dest="dynamic",
        metavar="[BIND:]PORT|/PATH",
        action="append",
        default=[],
        help="a SOCKS5 server on a port or a UNIX socket; names are resolved at the gateway; repeatable",
    )
    group.add_argument(
        "-g",
        dest="gateway_ports",
        action="store_true",
        help="listen on all addresses, where there is no BIND",
    )
    group.add_argument(
        "--socks-login-file",
        metavar="FILE",
        action=Once,
        type=Path,
        help="a file whose first line is USER:PASSWORD, which SOCKS clients need [default: they need none]",
    )
    group.add_argument(
        "--retry",
        metavar="SECONDS",
        action=Once,
        type=seconds_or_0,
        default=0.0,
        help="keep a connection waiting for that long while the gateway is away or busy [default: 0]",
    )


#: Makes a forwarder, which does not listen yet, from a reactor.
MakeForwarder = Callable[[Any], "Forwarder"]


def parse_forward_arguments(args: argparse.Namespace, report: "Report") -> MakeForwarder:
    """Read all that a forwarder needs, and ask for a password if there has to be one.

    Args:
        args: of `add_forward_arguments`.
        report: gets the forwarder's problems.

    Raises:
        Problem: an argument, the environment or the configuration is not valid.
    """
    # Imported here: --help needs none of it.
    from portofcall.client.connection import Gateway  # noqa: PLC0415
    from portofcall.client.credentials import read_first_line  # noqa: PLC0415
    from portofcall.client.forward_rules import Rule  # noqa: PLC0415
    from portofcall.client.forwarder import Forwarder  # noqa: PLC0415
    from portofcall.client.options import make_route  # noqa: PLC0415
    from portofcall.client.patient_readiness import PatientReadiness  # noqa: PLC0415
    from portofcall.client.problem import usage  # noqa: PLC0415
    from portofcall.client.socks import SOCKSLogin  # noqa: PLC0415

    rules: list[Rule] = []
    for option, parse, texts in (("-L", Rule.local, args.local), ("-D", Rule.dynamic, args.dynamic)):
        for text in texts:
            try:
                rules.append(parse(text, gateway_ports=args.gateway_ports))
            except ValueError as error:
                raise usage(f"{option} {text}: {error}") from None
    if not rules:
        raise usage("expected -L or -D")
    login = None
    if args.socks_login_file is not None:
        if not args.dynamic:
            raise usage("--socks-login-file: expected -D with it")
        try:
            login = SOCKSLogin.parse(read_first_line(args.socks_login_file))
        except ValueError as error:
            raise usage(f"--socks-login-file: {error}") from None
    for rule in rules:
        if rule.exposed and rule.target is None and login is None:
            report.warn(f"anyone who reaches {rule} can go through the gateway; use --socks-login-file")
    route = make_route(args, report)

    def make(reactor: Any) -> Forwarder:
        gateway = Gateway(reactor, route, readiness=PatientReadiness(reactor))
        return Forwarder(reactor, gateway, rules, retry_seconds=args.retry, login=login, report=report)

    return make

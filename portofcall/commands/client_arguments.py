"""The arguments that all of the client's commands have. Nothing else is imported: ``--help`` is quick."""

import argparse
import math
from pathlib import Path

from portofcall.commands import Once
from portofcall.commands.completion import gateway_names


def add_gateway(parser: argparse.ArgumentParser, *, help: str) -> None:
    """Add GATEWAY, whose completions in a shell are the names of config.toml."""
    # argcomplete looks for the attribute; argparse does not know it.
    setattr(parser.add_argument("gateway", metavar="GATEWAY", help=help), "completer", gateway_names)  # noqa: B010


def add_gateway_arguments(parser: argparse.ArgumentParser) -> None:
    """Add GATEWAY, and how to get there."""
    urls = "wss://HOST[:PORT][/PATH], ws://, https://, http://, unix:/PATH"
    add_gateway(parser, help=f"{urls}, or a name in config.toml")
    login = parser.add_argument_group("credentials")
    login.add_argument("--ticket-file", metavar="FILE", action=Once, help="a file with a ticket")
    login.add_argument(
        "--ticket-command",
        metavar="CMD",
        action=Once,
        help="a command that prints a ticket; run in the shell for each tunnel",
    )
    login.add_argument(
        "--user", metavar="NAME", action=Once, help="a user; the password is asked for on the terminal"
    )
    login.add_argument(
        "--password-file",
        metavar="FILE",
        action=Once,
        help="a file whose first line is the password",
    )
    tls = parser.add_argument_group("TLS")
    tls.add_argument(
        "--cacert",
        metavar="FILE",
        action=Once,
        help="authorities in PEM [default: the system's]",
    )
    tls.add_argument("--cert", metavar="FILE", action=Once, help="your certificate, in PEM")
    tls.add_argument("--key", metavar="FILE", action=Once, help="its key, in PEM [default: in --cert]")
    tls.add_argument("--insecure", action="store_true", help="accept any certificate of the gateway")
    network = parser.add_argument_group("network")
    network.add_argument(
        "--proxy",
        metavar="URL",
        action=Once,
        help="http://HOST:PORT or socks5://HOST:PORT, or none [default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY]",
    )
    network.add_argument(
        "--connect-timeout",
        metavar="SECONDS",
        action=Once,
        type=seconds,
        help="time for the gateway's response [default: 30]",
    )
    network.add_argument(
        "--ping-interval",
        metavar="SECONDS",
        action=Once,
        type=seconds_or_0,
        help="ping an idle gateway this often; 0 is never [default: 20]",
    )
    network.add_argument(
        "--ping-timeout",
        metavar="SECONDS",
        action=Once,
        type=seconds,
        help="end the tunnel if a ping is not answered for that long [default: 20]",
    )
    general = parser.add_argument_group("general")
    general.add_argument(
        "--config",
        metavar="FILE",
        action=Once,
        type=Path,
        help="gateways with a name [default: ~/.config/portofcall/config.toml]",
    )
    general.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="report each step; -vv: each tunnel of `forward` too",
    )
    general.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="of the lines on standard error [default: text]",
    )


def add_target_arguments(parser: argparse.ArgumentParser, *, port_default: str | None = None) -> None:
    """Add HOST and PORT, and ``--target``."""
    parser.add_argument("host", metavar="HOST", nargs="?", help="a name or an address, seen from the gateway")
    port = "1 to 65535" if port_default is None else f"1 to 65535 [default: {port_default}]"
    parser.add_argument("port", metavar="PORT", nargs="?", default=port_default, help=port)
    parser.add_argument(
        "--target",
        metavar="NAME",
        action=Once,
        help="a named target, without HOST and PORT",
    )


def seconds(text: str) -> float:
    """Parse a time that is longer than 0.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    value = seconds_or_0(text)
    if not value:
        raise argparse.ArgumentTypeError("expected a number of seconds above 0")
    return value


def seconds_or_0(text: str) -> float:
    """Parse a time.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError("expected a number of seconds")
    return value

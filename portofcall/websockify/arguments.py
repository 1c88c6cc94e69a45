"""The command line of ``portofcall-websockify``: websockify's options, by its names."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NoReturn

from portofcall import __version__

#: What is not supported, and what to do instead.
MISSING: Final = {
    "-- COMMAND": "does not run commands; start the command yourself, and give its port as the target",
    "--wrap-mode": "does not run commands; start the command yourself, and give its port as the target",
    "--libserver": "has one server only; leave the option out",
    "--ssl-version tlsv1_1": "has no TLS 1.1, which is not safe (RFC 8996); use tlsv1_2 or tlsv1_3",
}

_USAGE: Final = """
    %(prog)s [options] [source_addr:]source_port target_addr:target_port
    %(prog)s [options] --token-plugin=CLASS [source_addr:]source_port
    %(prog)s [options] --unix-target=FILE [source_addr:]source_port"""
_DESCRIPTION: Final = """\
Tunnel WebSocket connections to a TCP port, as websockify does and with its options, on the gateway of Port of
Call. Options may stand between the addresses. docs/websockify.md has what differs."""


def program() -> str:
    """Return the name that the process was called by: that may be ``websockify``, of a link."""
    called = os.path.basename(sys.argv[0])
    return called if "websockify" in called else "portofcall-websockify"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with one line."""
        self.exit(2, f"{self.prog}: {message}\n")


class _Missing(argparse.Action):
    """An option of websockify's that is not supported."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        """Exit with one line."""
        (option,) = self.option_strings
        parser.error(f"{option}: %s {MISSING[option]}" % parser.prog)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; `parse` uses it."""
    parser = _Parser(prog=program(), usage=_USAGE, description=_DESCRIPTION)
    add = parser.add_argument
    add("addresses", nargs="*", metavar="ADDRESS", help="where to listen, then the target")
    add("--version", action="version", version=f"portofcall {__version__}")
    _add_running(parser.add_argument_group("Running"))
    _add_listening(parser.add_argument_group("Listening"))
    _add_tls(parser.add_argument_group("TLS"))
    _add_targets(parser.add_argument_group("Targets"))
    _add_access(parser.add_argument_group("Access and files"))
    not_supported = parser.add_argument_group("Not supported")
    for option, values in (("--libserver", 0), ("--wrap-mode", 1)):
        not_supported.add_argument(option, nargs=values, action=_Missing, help=MISSING[option])
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line.

    Args:
        arguments: without the program's name.

    Returns:
        The options by websockify's names, ``addresses``: the other arguments, in order, and ``warnings``.

    Raises:
        SystemExit: it is not valid; one line that says why is on the standard error.
    """
    parser = make_parser()
    if "--" in arguments:
        parser.error(f"-- COMMAND: {parser.prog} {MISSING['-- COMMAND']}")
    args = parser.parse_intermixed_args(arguments)
    for option, needed in _NEEDED:
        if getattr(args, option) and not getattr(args, needed):
            parser.error(f"--{option.replace('_', '-')}: needs --{needed.replace('_', '-')}")
    if args.ssl_version == "tlsv1_1":
        parser.error(f"--ssl-version tlsv1_1: {parser.prog} {MISSING['--ssl-version tlsv1_1']}")
    if args.target_config is not None:
        if args.token_plugin is not None:
            parser.error("--target-config: give it, or --token-plugin")
        args.token_plugin, args.token_source = "TokenFile", args.target_config
    # Absolute, as the process may go to another directory (--daemon).
    for name in ("cert", "key", "cafile"):
        path = getattr(args, name)
        setattr(args, name, path and os.path.abspath(path))
    args.warnings = [
        f"--{option.replace('_', '-')} has no effect without --{needed.replace('_', '-')}"
        for option, needed in _WITHOUT_EFFECT
        if getattr(args, option) is not None
        and getattr(args, option) is not False
        and not getattr(args, needed)
    ]
    return args


#: An option, and what it needs.
_NEEDED: Final = (
    ("token_source", "token_plugin"),
    ("host_token", "token_plugin"),
    ("auth_source", "auth_plugin"),
    ("web_auth", "auth_plugin"),
    ("web_auth", "web"),
    ("legacy_syslog", "syslog"),
)
#: The same, where websockify does not object.
_WITHOUT_EFFECT: Final = (
    ("file_only", "web"),
    ("unix_listen_mode", "unix_listen"),
    ("cafile", "verify_client"),
)


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"expected whole seconds, or 0 for never, got {text[:40]!r}")
    return int(text)


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"expected an octal number such as 660, got {text[:40]!r}")
    return mode


#: A group of options; argparse has no public name for it.
Group = Any


def _flag(group: Group) -> Callable[..., object]:
    return partial(group.add_argument, action="store_true")


def _add_running(group: Group) -> None:
    flag, add = _flag(group), group.add_argument
    flag("--verbose", "-v", help="log each step of each tunnel")
    flag("--traffic", help="show each piece that is carried as a character on the standard output")
    add("--record", metavar="FILE", help="record tunnels to FILE.1, FILE.2 and so on")
    flag("--daemon", "-D", help="run in the background once it listens")
    flag("--run-once", help="exit after the first tunnel")
    add("--timeout", type=_seconds, default=0, metavar="SECONDS", help="exit after so long")
    add(
        "--idle-timeout",
        type=_seconds,
        default=0,
        metavar="SECONDS",
        help="exit after so long without a connection",
    )
    add(
        "--heartbeat",
        type=_seconds,
        default=0,
        metavar="SECONDS",
        help="ping idle clients so often, and close those that do not answer",
    )
    add("--log-file", metavar="FILE", help="log to this file as well")
    add("--syslog", metavar="SERVER", help="log to syslog as well: /PATH of a socket, or HOST:PORT for UDP")
    flag("--legacy-syslog", help="use the protocol before RFC 5424")


def _add_listening(group: Group) -> None:
    flag, add = _flag(group), group.add_argument
    flag("--prefer-ipv6", "-6", help="prefer IPv6 when source_addr is resolved")
    add("--unix-listen", metavar="FILE", help="listen on a UNIX socket")
    add("--unix-listen-mode", metavar="MODE", type=_mode, help="its mode [default: 600]")
    flag("--inetd", help="the standard input is the listening socket")


def _add_tls(group: Group) -> None:
    flag, add = _flag(group), group.add_argument
    add(
        "--cert",
        metavar="FILE",
        default="self.pem",
        help="certificate in PEM [default: self.pem, if it is there]",
    )
    add("--key", metavar="FILE", help="its private key, if that is not in the same file")
    add("--key-password", metavar="PASSWORD", help="of the private key")
    flag("--ssl-only", help="refuse clients without TLS; otherwise one port has both")
    add(
        "--ssl-version",
        choices=("default", "tlsv1_1", "tlsv1_2", "tlsv1_3"),
        default="default",
        help="the lowest version of TLS [default: tlsv1_2]",
    )
    add("--ssl-ciphers", metavar="LIST", help="for TLS 1.2, as OpenSSL writes them")
    flag("--verify-client", help="demand a certificate of clients that use TLS")
    add(
        "--cafile",
        metavar="FILE",
        help="the authorities that --verify-client trusts [default: those of the system]",
    )


def _add_targets(group: Group) -> None:
    flag, add = _flag(group), group.add_argument
    flag("--ssl-target", help="speak TLS with the target, and verify its certificate")
    add("--unix-target", metavar="FILE", help="connect to a UNIX socket")
    add("--target-config", metavar="FILE", help="the same as --token-plugin TokenFile --token-source FILE")
    add("--token-plugin", metavar="CLASS", help="look targets up by their tokens, with this class")
    add("--token-source", metavar="ARG", help="what the class is made with")
    flag("--host-token", help="the token is the Host header, not ?token=")


def _add_access(group: Group) -> None:
    flag, add = _flag(group), group.add_argument
    add("--auth-plugin", metavar="CLASS", help="authenticate clients with this class")
    add("--auth-source", metavar="ARG", help="what the class is made with")
    add("--web", metavar="DIR", help="serve the files of this folder on the same port")
    flag("--web-auth", help="authenticate clients for them, too")
    flag("--file-only", help="do not list folders")

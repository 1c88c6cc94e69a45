"""What options ``twistd portofcall`` takes, and what --help says of them."""

from collections.abc import Callable
from typing import Any

from portofcall.service.option_values import parse_count, parse_rate, parse_seconds, parse_size

DEFAULT_LISTEN = "tcp:8080:interface=127.0.0.1"

#: For each numeric option: its metavariable, its parser, its field in `Limits`, and what it does.
NUMBERS: dict[str, tuple[str, Callable[[str], Any], str, str]] = {
    "high-water": ("BYTES", parse_size, "high_water_bytes",
        "How much may wait for a slow reader before its sender is paused; 512K and 1M will do. "
        "[default: 1M bytes]"),
    "max-message": ("BYTES", parse_size, "max_message_bytes",
        "The largest WebSocket message that is sent out. [default: 1M bytes]"),
    "connect-timeout": ("SECONDS", parse_seconds, "connect_timeout_seconds",
        "For a target to accept the connection. [default: 10 seconds]"),
    "dns-timeout": ("SECONDS", parse_seconds, "dns_timeout_seconds",
        "For a host name to be resolved. [default: 5 seconds]"),
    "max-tunnels": ("COUNT", parse_count, "max_tunnels",
        "The most tunnels, pings and banners at a time; 0 means no limit, here and below. "
        "[default: 10000, or 40 % of the file descriptors if that is less]"),
    "max-per-client": ("COUNT", parse_count, "max_per_client",
        "The most of them for one client: an IPv4 address, or an IPv6 /64. [default: 256]"),
    "max-per-target": ("COUNT", parse_count, "max_per_target",
        "The most connections to one address and port. [default: 256]"),
    "rate-per-client": ("RATE", parse_rate, "rate_per_client",
        "How many one client may start per second, and how many at once; 50 or 50:200. "
        "[default: 50:200 per second]"),
    "rate-per-target": ("RATE", parse_rate, "rate_per_target",
        "How many connections to one address and port may be opened per second, and how many at once. "
        "[default: 50:200 per second]"),
}  # fmt: skip


def _numbers(*names: str) -> dict[str, tuple[str, str]]:
    return {name: (NUMBERS[name][0], NUMBERS[name][3]) for name in names}


#: The groups of --help: for each option its metavariable, and what it does, with default and unit.
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Where it listens": {
        "listen": (
            "ENDPOINT",
            "A Twisted server endpoint: tcp, ssl, unix, systemd or haproxy. Repeatable. "
            f"[default: {DEFAULT_LISTEN}]",
        ),
    },
    "Who may ask": {
        "auth": (
            "METHOD",
            "Ask for a user and a password over HTTP Basic, and check them by METHOD, such as "
            "file:/etc/portofcall.passwd. Repeatable. [default: none]",
        ),
        "ticket-key": (
            "FILE",
            "Take tickets that were signed with this key; `portofcall ticket` makes them. [default: none]",
        ),
        "no-auth": (
            "",
            "Listen where others than this machine can connect, although nothing proves who they are. "
            "[default: off]",
        ),
        "origin": (
            "URL",
            "Let pages of that origin ask, besides the gateway's own. Repeatable. [default: none]",
        ),
        "trust-forwarded": (
            "CIDR",
            "Believe the X-Forwarded-For of proxies there. Repeatable. [default: none]",
        ),
    },
    "Where clients may go": {
        "allow": (
            "RULE",
            "Let clients go there: public, an address, CIDR or host name, each with optional :PORTS "
            "(22 or 1-1023 or 22,443 or *; IPv6 in brackets). Repeatable. [default: public]",
        ),
        "deny": ("RULE", "Refuse what it names, whatever else allows it. Repeatable. [default: none]"),
        "policy": (
            "FILE",
            "Take more rules from a file, one `allow RULE` or `deny RULE` a line; it is read again on "
            "SIGHUP. [default: none]",
        ),
    },
    "How much": _numbers(*NUMBERS),
    "How fast": {
        "without-nvx": (
            "",
            "Start although Autobahn's NVX, which unmasks in C, is missing; in Python that is about a "
            "hundred times slower. [default: off]",
        ),
    },
    "To try it": {
        "demo": (
            "",
            "Start echo, discard and chargen on loopback and allow these three only; the log says what "
            "to try. [default: off]",
        ),
    },
    "Others": {
        "help": ("", "Show this."),
        "help-auth": ("", "Show the methods of --auth."),
        "help-auth-type": ("METHOD", "Show what one of them takes."),
        "version": ("", "Show the version."),
    },
}

"""``twistd portofcall``: its options, and the service made from them. Wiring, nothing else."""

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NoReturn, cast

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from portofcall import __version__
from portofcall.demo import DemoBackends
from portofcall.egress import Policy, RuleError
from portofcall.errors import printable
from portofcall.gateway import Gateway
from portofcall.limits import Limits, parse_seconds, parse_size
from portofcall.listen import Listener

DEFAULT_LISTEN = "tcp:8080:interface=127.0.0.1"


class Options(usage.Options):
    """The command line of ``twistd portofcall``.

    A value that makes no sense raises `usage.UsageError` with one line that names the option. Under twistd
    that line is all that is printed, and the exit status is 1.

    Its items, besides ``demo`` (bool): ``listen``, ``allow``, ``deny`` (lists of str), ``high-water``,
    ``max-message`` (bytes), ``connect-timeout``, ``dns-timeout`` (seconds).
    """

    #: The groups of --help: for each option its metavariable, and what it does, with default and unit.
    groups: ClassVar[dict[str, dict[str, tuple[str, str]]]] = {
        "Where it listens": {
            "listen": (
                "ENDPOINT",
                "A Twisted server endpoint: tcp, ssl, unix, systemd or haproxy. Repeatable. "
                f"[default: {DEFAULT_LISTEN}]",
            ),
        },
        "Where clients may go": {
            "allow": (
                "RULE",
                "Let clients go there: public, an address, CIDR or host name, each with optional :PORTS "
                "(22 or 1-1023 or 22,443 or *; IPv6 in brackets). Repeatable. [default: public]",
            ),
            "deny": (
                "RULE",
                "Refuse what it names, whatever else allows it. Repeatable. [default: none]",
            ),
        },
        "How much": {
            "high-water": (
                "BYTES",
                "How much may wait for a slow reader before its sender is paused; 512K and 1M will do. "
                "[default: 1M bytes]",
            ),
            "max-message": ("BYTES", "The largest WebSocket message that is sent out. [default: 1M bytes]"),
            "connect-timeout": ("SECONDS", "For a target to accept the connection. [default: 10 seconds]"),
            "dns-timeout": ("SECONDS", "For a host name to be resolved. [default: 5 seconds]"),
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
            "version": ("", "Show the version."),
        },
    }

    optFlags: ClassVar[Sequence[Sequence[Any]]] = [["demo", None, ""]]

    def __init__(self) -> None:
        super().__init__()
        limits = Limits()
        self["listen"] = []
        self["allow"] = []
        self["deny"] = []
        self["high-water"] = limits.high_water_bytes
        self["max-message"] = limits.max_message_bytes
        self["connect-timeout"] = limits.connect_timeout_seconds
        self["dns-timeout"] = limits.dns_timeout_seconds

    def opt_listen(self, endpoint: str) -> None:
        """See `groups`."""
        try:
            # Without a reactor this only parses; makeService makes the endpoint that is used.
            serverFromString(None, endpoint)
        except Exception as problem:  # noqa: BLE001 - each endpoint plugin raises what it likes
            raise usage.UsageError(
                f"--listen: expected a Twisted server endpoint such as {DEFAULT_LISTEN}, "
                f"got '{printable(endpoint)}' ({printable(str(problem))})"
            ) from None
        self["listen"].append(endpoint)

    def opt_allow(self, rule: str) -> None:
        """See `groups`."""
        self._rule("allow", rule)

    def opt_deny(self, rule: str) -> None:
        """See `groups`."""
        self._rule("deny", rule)

    def opt_high_water(self, size: str) -> None:
        """See `groups`."""
        self._number("high-water", size, parse_size)

    def opt_max_message(self, size: str) -> None:
        """See `groups`."""
        self._number("max-message", size, parse_size)

    def opt_connect_timeout(self, seconds: str) -> None:
        """See `groups`."""
        self._number("connect-timeout", seconds, parse_seconds)

    def opt_dns_timeout(self, seconds: str) -> None:
        """See `groups`."""
        self._number("dns-timeout", seconds, parse_seconds)

    def opt_version(self) -> NoReturn:
        """See `groups`."""
        sys.stdout.write(f"portofcall {__version__}\n")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Fill in the default endpoint, and refuse options that contradict each other."""
        if self["demo"] and (self["allow"] or self["deny"]):
            raise usage.UsageError("--demo: allows its own backends only, so leave --allow and --deny out")
        self["listen"] = self["listen"] or [DEFAULT_LISTEN]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse the command line; under twistd, end with one line if it makes no sense."""
        try:
            super().parseOptions(options)
        except usage.UsageError as problem:
            if self.parent is None:
                raise
            raise SystemExit(f"twistd portofcall: {problem}") from None

    def getSynopsis(self) -> str:
        """Tell how it is called."""
        return "Usage: twistd [options] portofcall [options]"

    def getUsage(self, width: int | None = None) -> str:
        """Tell of the options, by groups."""
        width = width or int(os.environ.get("COLUMNS", "80"))
        lines: list[str] = []
        for group, options in self.groups.items():
            lines += ["", f"{group}:"]
            for name, (variable, text) in options.items():
                lines.append(f"  --{name}{'=' if variable else ''}{variable}")
                lines += textwrap.wrap(text, width, initial_indent=" " * 8, subsequent_indent=" " * 8)
        return "\n".join([*lines, ""])

    def _rule(self, option: str, rule: str) -> None:
        try:
            Policy.parse(**{option: [rule]})
        except RuleError as problem:
            raise usage.UsageError(f"--{option}: {problem}") from None
        self[option].append(rule)

    def _number(self, option: str, text: str, parse: Callable[[str], float]) -> None:
        try:
            self[option] = parse(text)
        except ValueError as problem:
            raise usage.UsageError(f"--{option}: {problem}, got '{printable(text)}'") from None


class _Drain(Service):
    """Ends the tunnels when the service stops."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return self._gateway.shut_down()


def makeService(options: Options, reactor: Any = None) -> IService:
    """Make a gateway that runs as a service.

    Args:
        options: parsed.
        reactor: None means the global one.

    Returns:
        A service that listens, and that drains its tunnels when it is stopped.
    """
    if reactor is None:
        from twisted.internet import reactor  # noqa: PLC0415 - importing it earlier would install one
    limits = Limits(
        high_water_bytes=options["high-water"],
        max_message_bytes=options["max-message"],
        connect_timeout_seconds=options["connect-timeout"],
        dns_timeout_seconds=options["dns-timeout"],
    )
    policy = Policy.parse(allow=options["allow"], deny=options["deny"])
    gateway = Gateway(reactor, policy=policy, limits=limits)
    service = MultiService()
    _Drain(gateway).setServiceParent(service)
    listeners = [
        Listener(description, serverFromString(reactor, description), gateway.site())
        for description in options["listen"]
    ]
    for listener in listeners:
        listener.setServiceParent(service)
    if options["demo"]:
        DemoBackends(reactor, gateway, listeners[0]).setServiceParent(service)
    return cast(IService, service)

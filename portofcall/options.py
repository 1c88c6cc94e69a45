"""The command line of ``twistd portofcall``: what it takes, and what it says of what makes no sense."""

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from twisted.cred.checkers import ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from portofcall import __version__
from portofcall.access import parse_network, parse_origin
from portofcall.egress import Policy, RuleError
from portofcall.errors import printable
from portofcall.limits import Limits, parse_count, parse_rate, parse_seconds, parse_size
from portofcall.policyfile import PolicyFileError, read_policy
from portofcall.tickets import TicketKey

DEFAULT_LISTEN = "tcp:8080:interface=127.0.0.1"

_LIMITS = Limits()

#: For each numeric option: its metavariable, its parser, its field in `Limits`, and what it does.
_NUMBERS: dict[str, tuple[str, Callable[[str], Any], str, str]] = {
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
    return {name: (_NUMBERS[name][0], _NUMBERS[name][3]) for name in names}


class Options(usage.Options, AuthOptionMixin):
    """The command line of ``twistd portofcall``.

    A value that makes no sense raises `usage.UsageError` with one line that names the option. Under twistd
    that line is all that is printed, and the exit status is 1.

    Its items are the long names of the options. Those that are repeatable are lists; sizes are in bytes,
    times in seconds; ``ticket-key`` is a `TicketKey` or None, ``credCheckers`` a list of checkers.
    """

    supportedInterfaces = (IUsernamePassword,)

    #: The groups of --help: for each option its metavariable, and what it does, with default and unit.
    groups: ClassVar[dict[str, dict[str, tuple[str, str]]]] = {
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
                "Take tickets that were signed with this key; `portofcall ticket` makes them. "
                "[default: none]",
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
        "How much": _numbers(*_NUMBERS),
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

    optFlags: ClassVar[Sequence[Sequence[Any]]] = [["demo", None, ""], ["no-auth", None, ""]]
    optParameters: ClassVar[Sequence[Sequence[Any]]] = [
        [name, None, None, ""] for name in (*_NUMBERS, "policy", "ticket-key")
    ]

    def __init__(self) -> None:
        super().__init__()
        self.update({name: [] for name in ("listen", "allow", "deny", "origin", "trust-forwarded")})
        self["credCheckers"] = []

    # Options that are repeatable

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

    def opt_origin(self, url: str) -> None:
        """See `groups`."""
        self["origin"].append(_parse("origin", url, parse_origin))

    def opt_trust_forwarded(self, network: str) -> None:
        """See `groups`."""
        self["trust-forwarded"].append(_parse("trust-forwarded", network, parse_network))

    def opt_auth(self, method: str) -> None:
        """See `groups`."""
        kind = printable(method.partition(":")[0], 30)
        try:
            super().opt_auth(method)
        except usage.UsageError:
            # The reason may quote what follows the kind, and a password may be in that.
            raise usage.UsageError(
                f"--auth: expected a method as --help-auth lists them, with what it takes, got '{kind}:...'"
            ) from None

    def addChecker(self, checker: ICredentialsChecker) -> None:
        """Take a checker for `Credentials`."""
        if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
            # Twisted's own plugin fills it with text, where credentials are bytes, so that nobody gets in.
            checker.users = {_bytes(user): _bytes(password) for user, password in checker.users.items()}
        super().addChecker(checker)

    def opt_version(self) -> NoReturn:
        """See `groups`."""
        sys.stdout.write(f"portofcall {__version__}\n")
        raise SystemExit(0)

    def _rule(self, option: str, rule: str) -> None:
        try:
            Policy.parse(**{option: [rule]})
        except RuleError as problem:
            raise usage.UsageError(f"--{option}: {problem}") from None
        self[option].append(rule)

    # Afterwards

    def postOptions(self) -> None:
        """Turn texts into values, fill in defaults, and refuse options that contradict each other."""
        for name, (_, parse, field, _) in _NUMBERS.items():
            text = self[name]
            self[name] = getattr(_LIMITS, field) if text is None else _parse(name, text, parse)
        if self["ticket-key"] is not None:
            self["ticket-key"] = _parse("ticket-key", self["ticket-key"], _load_key)
        if self["demo"] and (self["allow"] or self["deny"] or self["policy"]):
            raise usage.UsageError(
                "--demo: allows its own backends only, so leave --allow, --deny, --policy out"
            )
        if self["policy"] is not None:
            # twistd may change its directory later (--rundir), and the file is read again on SIGHUP.
            self["policy"] = str(Path(self["policy"]).absolute())
        self.read_policy()
        if self["no-auth"] and (self["credCheckers"] or self["ticket-key"]):
            raise usage.UsageError("--no-auth: contradicts --auth and --ticket-key")
        self["listen"] = self["listen"] or [DEFAULT_LISTEN]

    def read_policy(self) -> Policy:
        """Read the rules, those of the file as they are now.

        Raises:
            UsageError: the file has a line that is no rule, or can't be read.
        """
        rules: dict[str, Any] = {"allow": self["allow"], "deny": self["deny"]}
        if self["policy"] is None:
            return Policy.parse(**rules)
        try:
            return read_policy(Path(self["policy"]), **rules)
        except PolicyFileError as problem:
            raise usage.UsageError(f"--policy: {problem}") from None

    def limits(self) -> Limits:
        """Make the limits that were asked for."""
        return Limits(**{field: self[name] for name, (_, _, field, _) in _NUMBERS.items()})

    # How twistd shows it

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


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _parse(option: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as problem:
        raise usage.UsageError(f"--{option}: {problem}, got '{printable(text)}'") from None


def _load_key(path: str) -> TicketKey:
    try:
        return TicketKey.load(Path(path).read_bytes())
    except OSError as problem:
        raise ValueError(f"expected a file with a key ({problem.strerror})") from None

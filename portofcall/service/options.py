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
from portofcall.access.client_address import parse_network
from portofcall.access.origin import parse_origin
from portofcall.access.ticket_key import TicketKey
from portofcall.egress.policy import Policy, RuleError
from portofcall.egress.policy_file import PolicyFileError, read_policy
from portofcall.errors import printable
from portofcall.limits.values import Limits
from portofcall.service.option_table import DEFAULT_LISTEN, GROUPS, NUMBERS
from portofcall.websocket.protocol import UNMASKS_FAST

_LIMITS = Limits()


class Options(usage.Options, AuthOptionMixin):
    """The command line of ``twistd portofcall``.

    A value that makes no sense raises `usage.UsageError` with one line that names the option. Under twistd
    that line is all that is printed, and the exit status is 1.

    Its items are the long names of the options. Those that are repeatable are lists; sizes are in bytes,
    times in seconds; ``ticket-key`` is a `TicketKey` or None, ``credCheckers`` a list of checkers.
    """

    supportedInterfaces = (IUsernamePassword,)

    optFlags: ClassVar[Sequence[Sequence[Any]]] = [
        [name, None, ""] for name in ("demo", "no-auth", "without-nvx")
    ]
    optParameters: ClassVar[Sequence[Sequence[Any]]] = [
        [name, None, None, ""] for name in (*NUMBERS, "policy", "ticket-key")
    ]

    def __init__(self) -> None:
        super().__init__()
        self.update({name: [] for name in ("listen", "allow", "deny", "origin", "trust-forwarded")})
        self["credCheckers"] = []

    # Options that are repeatable

    def opt_listen(self, endpoint: str) -> None:
        """See `optiontable.GROUPS`."""
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
        """See `optiontable.GROUPS`."""
        self._rule("allow", rule)

    def opt_deny(self, rule: str) -> None:
        """See `optiontable.GROUPS`."""
        self._rule("deny", rule)

    def opt_origin(self, url: str) -> None:
        """See `optiontable.GROUPS`."""
        self["origin"].append(_parse("origin", url, parse_origin))

    def opt_trust_forwarded(self, network: str) -> None:
        """See `optiontable.GROUPS`."""
        self["trust-forwarded"].append(_parse("trust-forwarded", network, parse_network))

    def opt_auth(self, method: str) -> None:
        """See `optiontable.GROUPS`."""
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
        """See `optiontable.GROUPS`."""
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
        if not UNMASKS_FAST and not self["without-nvx"]:
            raise usage.UsageError(
                "--without-nvx: Autobahn's NVX is missing or off (AUTOBAHN_USE_NVX), so that a hundredth of "
                "the speed is left; reinstall autobahn with a C compiler at hand, or insist by this option"
            )
        for name, (_, parse, field, _) in NUMBERS.items():
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
        return Limits(**{field: self[name] for name, (_, _, field, _) in NUMBERS.items()})

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
        for group, options in GROUPS.items():
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

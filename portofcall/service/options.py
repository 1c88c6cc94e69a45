"""The command line of ``twistd portofcall``."""

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, ClassVar, Final, NoReturn

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.python import usage

from portofcall import __version__
from portofcall.access.authenticator import Credentials
from portofcall.egress.named_target import Targets, TargetsError
from portofcall.egress.policy import Policy, RuleError
from portofcall.egress.policy_file import PolicyFileError
from portofcall.errors import printable
from portofcall.limits.values import Limits
from portofcall.service.admin_options import check_admin
from portofcall.service.checkers import make_checker
from portofcall.service.option import Group, Option
from portofcall.service.option_files import OptionFiles
from portofcall.service.option_table import OPTIONS
from portofcall.service.option_values import DEFAULT_LISTEN
from portofcall.service.tls import Contexts
from portofcall.service.tls_files import TLSFileError
from portofcall.service.tls_options import find_tls_files
from portofcall.websocket.protocol import UNMASKS_FAST

_PARSED: Final = [option for option in OPTIONS if option.parser is not None]
_EGRESS: Final = [option.name for option in OPTIONS if option.group is Group.EGRESS]
_INDENT: Final = " " * 8
_LIMITS: Final = {option.name: option.field for option in OPTIONS if option.field is not None}


class Options(OptionFiles, AuthOptionMixin):
    """The command line of ``twistd portofcall``, as `portofcall.service.option_table` describes it.

    An invalid value raises `usage.UsageError` with one line that names the option. Under twistd that line is
    all that is printed, and the exit status is 1.

    Its items are the values by the options' long names: a list where the option is repeatable, None where
    it was not given and is no limit. Sizes are in bytes, times in seconds, ``credCheckers`` is a list.

    Attributes:
        policy: the rules, those of the policy file included, as read by `read_policy` when the command line
            was parsed.
        targets: the named targets, those of the file included, as read by `read_targets`; None means none.
        credentials: what authenticates clients: the checkers and the key of the command line.
        tls: the certificates of the command line, as read by `read_tls` when the command line was parsed;
            None without a tls+ endpoint.
    """

    supportedInterfaces = (IUsernamePassword,)

    optFlags: ClassVar[Sequence[Sequence[Any]]] = [
        [option.name, None, option.help] for option in OPTIONS if option.flag
    ]

    policy: Policy
    targets: Targets | None
    credentials: Credentials
    tls: Contexts | None

    def __init__(self) -> None:
        super().__init__()
        self.update({option.name: [] if option.repeatable else None for option in _PARSED})
        self["credCheckers"] = []

    def _take(self, option: Option, text: str) -> None:
        parser = option.parser
        assert parser is not None
        try:
            value = parser(text)
        except (RuleError, TargetsError) as problem:
            raise usage.UsageError(f"--{option.name}: {problem}") from None
        except ValueError as problem:
            raise usage.UsageError(f"--{option.name}: {problem}, got '{printable(text)}'") from None
        if option.repeatable:
            self[option.name].append(value)
        elif self[option.name] is None:
            self[option.name] = value
        else:
            raise usage.UsageError(f"--{option.name}: expected once, got it again with '{printable(text)}'")

    # Options with methods of their own

    def opt_auth(self, method: str) -> None:
        """See `portofcall.service.option_table`."""
        self.addChecker(make_checker("--auth", method))

    def opt_version(self) -> NoReturn:
        """See `portofcall.service.option_table`."""
        sys.stdout.write(f"portofcall {__version__}\n")
        raise SystemExit(0)

    # Afterwards

    def postOptions(self) -> None:
        """Fill in defaults, read the policy, and reject options that contradict each other."""
        if not UNMASKS_FAST and not self["without-nvx"]:
            raise usage.UsageError(
                "--without-nvx: Autobahn's NVX is missing or off (AUTOBAHN_USE_NVX), which makes the gateway "
                "about 100 times slower; reinstall autobahn with a C compiler available, or give this option"
            )
        for name, field in _LIMITS.items():
            if self[name] is None:
                self[name] = getattr(Limits(), field)
        if self["demo"] and any(self[name] for name in _EGRESS):
            others = ", ".join(f"--{name}" for name in _EGRESS)
            raise usage.UsageError(f"--demo: allows only its own servers; leave out {others}")
        if self["no-auth"] and (self["credCheckers"] or self["ticket-key"]):
            raise usage.UsageError("--no-auth: contradicts --auth and --ticket-key")
        if self["recheck-open-tunnels"] and not (self["policy"] or self["target-file"]):
            raise usage.UsageError("--recheck-open-tunnels: needs --policy or --target-file")
        if self["web-listing"] and not self["web"]:
            raise usage.UsageError("--web-listing: needs --web")
        if self["end-at-exp"] and not self["ticket-key"]:
            raise usage.UsageError("--end-at-exp: needs --ticket-key")
        try:
            self.credentials = Credentials(
                checkers=self["credCheckers"],
                ticket_key=self["ticket-key"] and self.read_ticket_key(),
                end_at_exp=bool(self["end-at-exp"]),
            )
        except ValueError as problem:
            raise usage.UsageError(str(problem)) from None
        try:
            self.policy = self.read_policy()
        except PolicyFileError as problem:
            raise usage.UsageError(f"--policy: {problem}") from None
        try:
            self.targets = self.read_targets()
        except TargetsError as problem:
            raise usage.UsageError(str(problem)) from None
        self["listen"] = self["listen"] or [DEFAULT_LISTEN]
        check_admin(self)
        try:
            self.tls_files = find_tls_files(self)
            self.tls = None if self.tls_files is None else self.read_tls()
        except TLSFileError as problem:
            raise usage.UsageError(str(problem)) from None

    def limits(self) -> Limits:
        """Return the limits of the command line."""
        return Limits(**{field: self[name] for name, field in _LIMITS.items()})

    # How twistd shows it

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse the command line; under twistd, an invalid one ends the process with one line."""
        try:
            super().parseOptions(options)
        except usage.UsageError as problem:
            if self.parent is None:
                raise
            raise SystemExit(f"twistd portofcall: {problem}") from None

    def getSynopsis(self) -> str:
        """Return the first line of ``--help``."""
        return "Usage: twistd [options] portofcall [options]"

    def getUsage(self, width: int | None = None) -> str:
        """Return the rest of ``--help``: the options in groups.

        Args:
            width: of a line, in characters; None means the terminal's.
        """
        width = width or int(os.environ.get("COLUMNS", "80"))
        lines: list[str] = []
        for group, options in groupby(OPTIONS, key=lambda option: option.group):
            lines += ["", f"{group}:"]
            for option in options:
                lines.append(f"  {option.synopsis}")
                lines += textwrap.wrap(
                    option.description,
                    width,
                    initial_indent=_INDENT,
                    subsequent_indent=_INDENT,
                    break_on_hyphens=False,
                )
        return "\n".join([*lines, ""])


def _taker(option: Option) -> Callable[[Options, str], None]:
    """Make the method that Twisted calls with each value of an option."""

    def take(self: Options, text: str) -> None:
        self._take(option, text)

    take.__doc__ = option.help
    return take


for _option in _PARSED:
    setattr(Options, f"opt_{_option.name.replace('-', '_')}", _taker(_option))

"""One option of ``twistd portofcall``, described once for the parser, ``--help`` and the documentation."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from portofcall.limits.values import Limits
from portofcall.service.option_values import show_size

_LIMITS: Final = Limits()
#: How the value of a limit is written, by the option's metavariable.
_SHOW: Final[dict[str, Callable[[Any], str]]] = {"BYTES": show_size, "SECONDS": "{:g}".format}
_UNITS: Final = {"SECONDS": " seconds", "RATE": " per second"}


class Group(StrEnum):
    """The sections of ``--help``, in order."""

    LISTENING = "Listening"
    ACCESS = "Access"
    EGRESS = "Egress policy"
    LIMITS = "Limits"
    STOPPING = "Stopping"
    MONITORING = "Monitoring"
    PERFORMANCE = "Performance"
    DEMO = "Demo"
    GENERAL = "General"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option.

    Attributes:
        name: the long name, without dashes.
        group: the section of ``--help``.
        help: what it does, as a phrase without a full stop. The default is not part of it.
        metavar: names the value; empty for a flag.
        parser: turns the text into the value; raises `ValueError` with what was expected. None for a flag,
            and for an option with a method ``opt_NAME`` of its own in `Options`.
        field: the field of `Limits` that it sets; its default is that field's.
        default: how the default is written where there is no field. Empty means that there is none, because
            the option shows something and exits.
        repeatable: whether it may be given more than once; its value is a list.
    """

    name: str
    group: Group
    help: str
    metavar: str = ""
    parser: Callable[[str], Any] | None = None
    field: str | None = None
    default: str = ""
    repeatable: bool = False

    @property
    def flag(self) -> bool:
        """Whether it is switched on by being given."""
        return not self.metavar and bool(self.default)

    @property
    def synopsis(self) -> str:
        """The option as one writes it, such as ``--listen ENDPOINT``."""
        return f"--{self.name} {self.metavar}".rstrip()

    @property
    def shown_default(self) -> str:
        """The default as one would write it; that of a limit is computed from `Limits`."""
        if self.field is None:
            return self.default
        return _SHOW.get(self.metavar, str)(getattr(_LIMITS, self.field))

    @property
    def description(self) -> str:
        """What it does, whether it is repeatable, and its default with the unit, for ``--help``."""
        default = (
            f" [default: {self.shown_default}{_UNITS.get(self.metavar, '')}]" if self.shown_default else ""
        )
        return f"{self.help}{'; repeatable' if self.repeatable else ''}{default}"

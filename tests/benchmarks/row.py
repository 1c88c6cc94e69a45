"""What a row of the table is: a load, and the figures it yields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from tests.benchmarks.programs import Programs
from tests.benchmarks.running import Contestant, Running
from tests.benchmarks.security import Security

#: The values that one load measured, by the name of the figure.
Figures = Mapping[str, float]
#: Runs a load once against a contestant; the last argument is how long, in seconds.
Measure = Callable[[Programs, Running, float], Figures]


class Better(Enum):
    """Which way a figure is better."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A line of the table.

    Attributes:
        name: in the table.
        unit: of the printed value.
        better: which way.
        digits: decimals.
        tolerance: how much worse than before it may become, as a share of the value.
    """

    name: str
    unit: str
    better: Better = Better.MORE
    digits: int = 0
    tolerance: float = 0.05


class Group(Enum):
    """Rows that are measured together; the values are their names on the command line."""

    PLAIN = "plain"
    TLS = "tls"
    MIXED = "mixed"
    POLICY = "policy"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A load, and the figures it yields.

    Attributes:
        name: on the command line.
        load: in a sentence.
        figures: that it measures.
        measure: runs the load.
        group: that it belongs to.
        security: how clients connect.
        of_process: whether it measures the process itself, which plain TCP does not have.
        of_library: whether it calls this gateway's Python.
    """

    name: str
    load: str
    figures: tuple[Figure, ...]
    measure: Measure
    group: Group = Group.PLAIN
    security: Security = Security.PLAIN
    of_process: bool = False
    of_library: bool = False

    def admits(self, contestant: Contestant) -> bool:
        """Report whether it can be measured with a contestant."""
        if (self.group is Group.CLIENT) is not contestant.is_client and contestant.command is not None:
            return False
        if self.security not in contestant.securities or (self.of_library and not contestant.python):
            return False
        return not (self.of_process and contestant.command is None)

"""Measures rows with contestants in turn."""

import itertools
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.programs import LoadFailed, Programs
from tests.benchmarks.row import Row
from tests.benchmarks.running import Contestant, NotListening, running
from tests.benchmarks.security import Security

#: Values of all rounds, by figure or row, and contestant.
Table = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Length:
    """How often and how long to measure.

    Attributes:
        rounds: of every row.
        seconds: of each measurement.
        process_rounds: instead of ``rounds``, of rows that measure the process itself: these take long.
    """

    rounds: int
    seconds: float
    process_rounds: int

    def __str__(self) -> str:
        return f"{self.rounds} x {self.seconds:g} s"


def measure(rows: Sequence[Row], contestants: Sequence[Contestant], length: Length) -> tuple[Table, Table]:
    """Measure each row with each contestant in turn, freshly started each time.

    Args:
        rows: the rows of the table.
        contestants: all of them installed.
        length: how often and how long.

    Returns:
        The values by figure and contestant, and the shares of a core that the load's client took, by row and
        contestant.

        A peer that fails a load, or does not listen, has no figures of that row.

    Raises:
        LoadFailed, NotListening: a measurement of this gateway, or of plain TCP, failed.
    """
    measured: Table = defaultdict(lambda: defaultdict(list))
    load: Table = defaultdict(lambda: defaultdict(list))
    tls = any(row.security is not Security.PLAIN for row in rows)
    with tempfile.TemporaryDirectory() as name, Programs(Path(name), tls=tls) as programs:
        for row in rows:
            show(f"{row.name}: {row.load}\n")
            rounds = length.process_rounds if row.of_process else length.rounds
            present = [each for each in contestants if row.admits(each)]
            failed: set[str] = set()
            for number, contestant in turns(rounds, present):
                if contestant.name in failed:
                    continue
                show(f"  round {number} of {rounds}: {contestant.name:<12}")
                try:
                    with running(contestant, programs.backend_port, Path(name), row.security) as started:
                        figures = dict(row.measure(programs, started, length.seconds))
                except (LoadFailed, NotListening) as error:
                    if not contestant.is_peer:
                        raise
                    show(f" failed: {error}\n")
                    failed.add(contestant.name)
                    continue
                if "load" in figures:
                    load[row.name][contestant.name].append(figures.pop("load"))
                for figure in row.figures:
                    value = figures[figure.name]
                    measured[figure.name][contestant.name].append(value)
                    show(f" {value:.{figure.digits}f} {figure.unit}")
                show("\n")
            for figure, each in itertools.product(row.figures, failed):
                measured[figure.name].pop(each, None)
    return measured, load


def turns(rounds: int, contestants: Sequence[Contestant]) -> Iterator[tuple[int, Contestant]]:
    """Yield each contestant once a round, in turn and back: A B, B A, A B.

    A machine that becomes slower all the time is then fair to both. Rounds are numbered from 1.
    """
    for number in range(1, rounds + 1):
        for contestant in contestants if number % 2 else reversed(contestants):
            yield number, contestant


def show(text: str) -> None:
    """Show progress; standard output is for the results."""
    print(text, end="", file=sys.stderr, flush=True)

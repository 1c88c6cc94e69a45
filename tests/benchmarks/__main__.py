"""The command line of the benchmarks."""

import argparse
import json
import platform
import resource
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from itertools import product
from pathlib import Path

from tests.benchmarks.contestants import CONTESTANTS, Contestant, Running, running
from tests.benchmarks.programs import Programs
from tests.benchmarks.report import as_json, as_table
from tests.benchmarks.rows import ROWS, Row

_DEFAULT = ("portofcall", "websocat", "websockify", "direct")
_QUICK_SECONDS = 0.2

#: Values of all rounds, by figure or row, and contestant.
Table = dict[str, dict[str, list[float]]]


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    arguments = _parse(words)
    _allow_many_descriptors()
    contestants = []
    for name in arguments.against:
        if CONTESTANTS[name].installed():
            contestants.append(CONTESTANTS[name])
        else:
            _tell(f"{name} is not installed (pip install '.[bench]')\n")
    rows = [row for row in ROWS if row.name in arguments.rows]
    measured, load = measure(
        rows, contestants, rounds=arguments.rounds, seconds=arguments.seconds, quick=arguments.quick
    )
    ours = contestants[0].name
    if arguments.json:
        machine = {"python": platform.python_version(), "system": platform.platform()}
        json.dump({"machine": machine, "figures": as_json(measured, ours)}, sys.stdout, indent=1)
        print()
    else:
        print(as_table(measured, load, ours))


def measure(
    rows: Sequence[Row], contestants: Sequence[Contestant], *, rounds: int, seconds: float, quick: bool
) -> tuple[Table, Table]:
    """Measure each row against each contestant in turn, round after round: A B C, A B C, A B C.

    Args:
        rows: what to measure.
        contestants: all of them installed.
        rounds: how often.
        seconds: how long each time.
        quick: whether memory is measured only once.

    Returns:
        The values by figure and contestant, and the shares of a core that the load took, by row and
        contestant.
    """
    measured: Table = defaultdict(lambda: defaultdict(list))
    load: Table = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        programs = stack.enter_context(Programs(folder))

        @cache
        def started(contestant: Contestant) -> Running:
            return stack.enter_context(running(contestant, programs.backend_port, folder))

        for row in rows:
            _tell(f"{row.name}: {row.load}\n")
            # Memory takes long to measure, is the same each time, and that of plain TCP is nobody's.
            turns = 1 if quick and row.fresh else rounds
            present = [each for each in contestants if not (row.fresh and each.command is None)]
            for number, contestant in product(range(1, turns + 1), present):
                _tell(f"  round {number} of {turns}: {contestant.name:<12}")
                if row.fresh:
                    with running(contestant, programs.backend_port, folder) as fresh:
                        figures = dict(row.measure(programs, fresh, seconds))
                else:
                    figures = dict(row.measure(programs, started(contestant), seconds))
                if "load" in figures:
                    load[row.name][contestant.name].append(figures.pop("load"))
                for figure in row.figures:
                    value = figures[figure.name]
                    measured[figure.name][contestant.name].append(value)
                    _tell(f" {value:.{figure.digits}f} {figure.unit}")
                _tell("\n")
    return measured, load


def _tell(text: str) -> None:
    """Show what goes on; the table alone goes to standard output."""
    print(text, end="", file=sys.stderr, flush=True)


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Runs the same load against this gateway, against others and against none, in turn, and "
        "prints medians, and the ratios of ours to theirs. Progress goes to standard error.",
        epilog="rows: " + "; ".join(f"{row.name} ({row.load})" for row in ROWS),
    )
    names = [row.name for row in ROWS]
    parser.add_argument(
        "--rows", type=_list(names), default=names, help="which rows, such as down,rtt1 (all)"
    )
    parser.add_argument(
        "--against",
        type=_list(list(CONTESTANTS)),
        default=list(_DEFAULT),
        help=f"who, the one to compare with the others first ({','.join(_DEFAULT)})",
    )
    parser.add_argument("--rounds", type=int, help="how often (5)")
    parser.add_argument("--seconds", type=float, help="how long each measurement takes (2)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="3 rounds of a fifth of a second, memory once; ends within a minute",
    )
    parser.add_argument("--json", action="store_true", help="print machine-readable figures")
    arguments = parser.parse_args(words)
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (_QUICK_SECONDS if arguments.quick else 2.0)
    return arguments


def _list(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Make a reader of names with commas between them."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}, got {name!r}")
        return names

    return read


def _allow_many_descriptors() -> None:
    """Thousands of tunnels take as many descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()

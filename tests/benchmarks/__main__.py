"""The command line of the benchmarks."""

import argparse
import json
import math
import platform
import resource
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.compare import Verdict
from tests.benchmarks.contestants import CLIENTS, CONTESTANTS, DIRECT, gateway
from tests.benchmarks.measure import Length, measure, show
from tests.benchmarks.plot import CannotPlot, plot
from tests.benchmarks.processes import exit_on_signals
from tests.benchmarks.programs import LoadFailed
from tests.benchmarks.report import (
    FIGURES,
    as_json,
    as_table,
    changes,
    changes_as_json,
    changes_as_table,
    only,
)
from tests.benchmarks.revisions import CannotInstall, commit_of, copy_checkout, install, worktree
from tests.benchmarks.row import Group
from tests.benchmarks.rows import ROWS
from tests.benchmarks.running import Contestant, NotListening

_DEFAULT = ("portofcall", "websocat", "websockify", "haproxy", "direct")
_CHECKOUT = "checkout"
#: By whether revisions are compared, and quickly. Comparing takes many short rounds: whatever slows the
#: machine down for a while then slows both sides of a round.
_LENGTHS = {
    (False, False): Length(5, 2, process_rounds=5),
    (False, True): Length(3, 0.2, process_rounds=1),
    (True, False): Length(9, 1, process_rounds=9),
    (True, True): Length(5, 0.2, process_rounds=5),
}
#: The fewest rounds, by whether revisions are compared.
_LEAST_ROUNDS = {False: 1, True: 5}
_WORSE, _FAILED = 1, 2


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the results, and return the exit status."""
    arguments = _parse(words)
    try:
        return _measure_peers(arguments) if arguments.compare is None else _measure_revisions(arguments)
    except (CannotInstall, CannotPlot, LoadFailed, NotListening) as error:
        show(f"\n{error}\n")
        return _FAILED


def _measure_peers(arguments: argparse.Namespace) -> int:
    """Measure this gateway against others."""
    clients = [row for row in arguments.rows if row.group is Group.CLIENT]
    others = [row for row in arguments.rows if row.group is not Group.CLIENT]
    named = [CONTESTANTS[name] for name in arguments.against] if others else [DIRECT]
    contestants = []
    for contestant in [*(each for pair in CLIENTS for each in pair if clients), *named]:
        if contestant.installed():
            contestants.append(contestant)
        else:
            show(f"{contestant.name} is not installed (pip install '.[bench]')\n")
    if not contestants:
        return _FAILED
    measured, load = measure(arguments.rows, contestants, arguments.length)
    ours = next((each.name for each in contestants if not each.is_client), "")
    figures = only(measured, others)
    of_clients = {
        pair[0].name: only(measured, clients, {DIRECT.name, *(each.name for each in pair)})
        for pair in CLIENTS
    }
    if arguments.json:
        _print_json(
            figures=as_json(figures, ours),
            clients={name: as_json(each, name) for name, each in of_clients.items() if each},
        )
    else:
        tables = {ours: figures} | of_clients
        print("\n\n".join(as_table(each, load, name) for name, each in tables.items() if each))
    if arguments.plot is not None:
        drawn = {FIGURES[name]: rounds for name, rounds in figures.items()}
        for path in plot(drawn, ours, arguments.plot):
            show(f"wrote {path}\n")
    return 0


def _measure_revisions(arguments: argparse.Namespace) -> int:
    """Measure the checkout against another revision."""
    commit = commit_of(arguments.compare)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with worktree(commit, folder) as tree:
            show(f"installing {commit}\n")
            old = _installed(commit, tree, folder)
        show("installing the checkout\n")
        new = _installed(_CHECKOUT, copy_checkout(folder), folder)
        measured, _ = measure(arguments.rows, [new, old], arguments.length)
    if arguments.json:
        _print_json(compared_with=commit, figures=changes_as_json(measured, _CHECKOUT, commit))
    else:
        print(changes_as_table(measured, _CHECKOUT, commit))
    verdicts = [change.verdict for change in changes(measured, _CHECKOUT, commit).values()]
    return _WORSE if Verdict.WORSE in verdicts else 0


def _installed(name: str, tree: Path, folder: Path) -> Contestant:
    installed = install(tree, folder)
    return gateway(name, installed.twistd, python=installed.python)


def _print_json(**results: object) -> None:
    machine = {"python": platform.python_version(), "system": platform.platform()}
    json.dump({"machine": machine, **results}, sys.stdout, indent=1)
    print()


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Runs the same load through this gateway, through others and through none, in turn, and "
        "prints medians, and the ratios of ours to theirs. Or compares the checkout with another revision. "
        "Progress goes to standard error.",
        epilog="rows: "
        + "; ".join(f"{row.name} ({row.load})" for row in ROWS)
        + f". Exit status: 0, {_WORSE} if --compare found a row worse, {_FAILED} if something failed.",
    )
    rows = {row.name: row for row in ROWS}
    groups = [group.value for group in Group]
    parser.add_argument(
        "--rows",
        type=_list([*groups, *rows]),
        default=groups,
        help=f"measure only these rows or groups, such as down,tls; groups: {', '.join(groups)} (all)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--against",
        type=_list(CONTESTANTS),
        default=list(_DEFAULT),
        help=f"contestants, the one to compare with the others first ({','.join(_DEFAULT)})",
    )
    what.add_argument(
        "--compare",
        metavar="REV",
        help="compare the checkout with this Git revision instead; both are installed in temporary folders",
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="how often")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long each measurement takes")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{_LENGTHS[False, True]} instead of {_LENGTHS[False, False]}; "
        f"with --compare {_LENGTHS[True, True]} instead of {_LENGTHS[True, False]}",
    )
    parser.add_argument("--json", action="store_true", help="print machine-readable figures of all rounds")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="PREFIX",
        help="also draw how ours compares with its peers, in PREFIX-light.svg and PREFIX-dark.svg",
    )
    arguments = parser.parse_args(words)
    compares = arguments.compare is not None
    if compares and arguments.plot is not None:
        parser.error("argument --plot: not allowed with argument --compare")
    if arguments.plot is not None:
        # Before hours of measuring are lost.
        if not arguments.plot.parent.is_dir():
            parser.error(f"argument --plot: expected a prefix in a folder that exists, got {arguments.plot}")
        if find_spec("matplotlib") is None:
            parser.error("argument --plot: matplotlib is not installed (pip install '.[bench]')")
    length = _LENGTHS[compares, arguments.quick]
    if arguments.rounds is not None:
        length = replace(length, rounds=arguments.rounds, process_rounds=arguments.rounds)
    if arguments.seconds is not None:
        length = replace(length, seconds=arguments.seconds)
    if length.rounds < _LEAST_ROUNDS[compares]:
        parser.error(f"argument --rounds: expected {_LEAST_ROUNDS[compares]} or more, got {length.rounds}")
    if not 0 < length.seconds < math.inf:
        parser.error(f"argument --seconds: expected a time above 0, got {length.seconds}")
    arguments.length = length
    arguments.rows = [
        row
        for row in ROWS
        if {row.name, row.group.value} & set(arguments.rows) and not (compares and row.group is Group.CLIENT)
    ]
    if not arguments.rows:
        parser.error("argument --rows: the rows of the client compare no revisions of the gateway")
    return arguments


def _list(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated names."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"expected some of {','.join(known)}, got {name!r}")
        return names

    return read


def _allow_many_descriptors() -> None:
    """Allow for thousands of tunnels, two descriptors each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    _allow_many_descriptors()
    exit_on_signals()
    sys.exit(main())

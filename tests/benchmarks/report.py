"""The results, as a table for people and as JSON for programs."""

from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Any

from tests.benchmarks.compare import Change, compare, median_ratio
from tests.benchmarks.contestants import CONTESTANTS
from tests.benchmarks.row import Figure, Row
from tests.benchmarks.rows import ROWS

#: The values of one figure: one for each round, by contestant.
Rounds = Mapping[str, Sequence[float]]
#: Those of all figures, by the figure's name.
Measured = Mapping[str, Rounds]


#: A figure by its name.
FIGURES = {figure.name: figure for row in ROWS for figure in row.figures}


def only(
    measured: Measured, rows: Collection[Row], contestants: Collection[str] = tuple(CONTESTANTS)
) -> Measured:
    """Return the figures of some rows, of some contestants."""
    figures = [figure.name for row in rows for figure in row.figures if figure.name in measured]
    return {
        figure: {name: values for name, values in measured[figure].items() if name in contestants}
        for figure in figures
    }


def as_json(measured: Measured, ours: str) -> dict[str, Any]:
    """Return the figures for programs: the values of all rounds, their medians, and the ratios to ours."""
    return {
        name: {
            "unit": FIGURES[name].unit,
            "better": FIGURES[name].better.value,
            "rounds": {contestant: list(values) for contestant, values in rounds.items()},
            "median": {contestant: median(values) for contestant, values in rounds.items()},
            "ratio": _ratios(rounds, ours),
        }
        for name, rounds in measured.items()
    }


def as_table(measured: Measured, load: Mapping[str, Rounds], ours: str) -> str:
    """Return the figures for people.

    Args:
        measured: by figure.
        load: the share of a core that the load's client took, by row.
        ours: the contestant that the others are compared with.

    Returns:
        Lines of text.
    """
    names = [name for name in CONTESTANTS if any(name in rounds for rounds in measured.values())]
    others = [name for name in names if name not in (ours, "direct")]
    lines = [["", *names, *(f"/ {name}" for name in others), "load"]]
    for row in ROWS:
        for figure in row.figures:
            rounds = measured.get(figure.name)
            if rounds is None:
                continue
            compared = _ratios(rounds, ours)
            line = _start_of_line(figure, rounds, names)
            line += [f"{compared[name]:.2f}" if name in compared else "-" for name in others]
            share = load.get(row.name, {}).get(ours)
            lines.append([*line, "-" if share is None else f"{median(share):.0%}"])
    return _aligned(lines)


def changes(measured: Measured, new: str, old: str) -> dict[str, Change]:
    """Compare two contestants, figure by figure."""
    return {name: compare(FIGURES[name], rounds[new], rounds[old]) for name, rounds in measured.items()}


def changes_as_json(measured: Measured, new: str, old: str) -> dict[str, Any]:
    """Return the figures of `as_json`, each with its change, the spread and the verdict."""
    figures = as_json(measured, new)
    for name, change in changes(measured, new, old).items():
        figures[name] |= {
            "change": change.ratio - 1,
            "spread": change.spread,
            "verdict": change.verdict.value,
        }
    return figures


def changes_as_table(measured: Measured, new: str, old: str) -> str:
    """Return a line for each figure: both medians, the change, the spread and the verdict."""
    lines = [["", old, new, "change", "spread", "verdict"]]
    for name, change in changes(measured, new, old).items():
        line = _start_of_line(FIGURES[name], measured[name], (old, new))
        numbers = [f"{change.ratio - 1:+.1%}", f"{change.spread:.1%}"]
        lines.append([*line, *numbers, change.verdict.value])
    return _aligned(lines)


def _ratios(rounds: Rounds, ours: str) -> dict[str, float]:
    """Return the median of the ratios of ours to each other contestant that measured the figure."""
    found = {
        name: median_ratio(rounds.get(ours, ()), values) for name, values in rounds.items() if name != ours
    }
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def _start_of_line(figure: Figure, rounds: Rounds, names: Sequence[str]) -> list[str]:
    """Return the figure's name and unit, and each contestant's median."""
    medians = (f"{median(rounds[name]):.{figure.digits}f}" if name in rounds else "-" for name in names)
    return [f"{figure.name} ({figure.unit})", *medians]


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lay cells out in columns, all but the first one aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )

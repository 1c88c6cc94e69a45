"""What was measured, as a table for people and as JSON for programs."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from tests.benchmarks.contestants import CONTESTANTS
from tests.benchmarks.rows import ROWS, Figure

#: All that was measured of one figure: a value for each round, by contestant.
Rounds = Mapping[str, Sequence[float]]
#: That, by the name of the figure.
Measured = Mapping[str, Rounds]


def ratios(rounds: Rounds, ours: str) -> dict[str, float]:
    """Compare ours with each other contestant: the median of the ratios of the rounds.

    Args:
        rounds: of one figure.
        ours: whose values are divided by those of the others.

    Returns:
        By contestant; those that have not measured it are left out.
    """
    own = rounds.get(ours, [])
    return {
        name: median(mine / theirs for mine, theirs in zip(own, values, strict=True) if theirs)
        for name, values in rounds.items()
        if name != ours and own and any(values)
    }


def as_json(measured: Measured, ours: str) -> dict[str, Any]:
    """Lay the figures out for programs: values of all rounds, medians, and ratios."""
    figures = {figure.name: figure for row in ROWS for figure in row.figures}
    return {
        name: {
            "unit": figures[name].unit,
            "better": figures[name].better.value,
            "rounds": {who: list(values) for who, values in rounds.items()},
            "median": {who: median(values) for who, values in rounds.items()},
            "ratio": ratios(rounds, ours),
        }
        for name, rounds in measured.items()
    }


def as_table(measured: Measured, load: Mapping[str, Rounds], ours: str) -> str:
    """Lay the figures out for people.

    Args:
        measured: by figure.
        load: which share of a core the load's client took, by row.
        ours: the contestant that the others are compared with.

    Returns:
        Lines of text.
    """
    names = [name for name in CONTESTANTS if any(name in rounds for rounds in measured.values())]
    others = [name for name in names if name not in (ours, "direct")]
    head = ["", *names, *(f"/ {name}" for name in others), "load"]
    lines = [head]
    for row in ROWS:
        for figure in row.figures:
            rounds = measured.get(figure.name)
            if rounds is None:
                continue
            compared = ratios(rounds, ours)
            line = [f"{figure.name} ({figure.unit})", *(_value(rounds, name, figure) for name in names)]
            line += [f"{compared[name]:.2f}" if name in compared else "-" for name in others]
            share = load.get(row.name, {}).get(ours)
            lines.append([*line, "-" if share is None else f"{median(share):.0%}"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _value(rounds: Rounds, name: str, figure: Figure) -> str:
    return f"{median(rounds[name]):.{figure.digits}f}" if name in rounds else "-"

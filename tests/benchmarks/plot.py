"""The table as a picture: how this gateway compares with its peers, figure by figure."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.compare import median_ratio
from tests.benchmarks.row import Better, Figure

#: The figures of the table, each with the values of all rounds by contestant.
Lines = Mapping[Figure, Mapping[str, Sequence[float]]]

_COLOURS = {"websocat": "#d9822b", "websockify": "#3f7fbf", "haproxy": "#8f5fbf"}
_OTHER = "#7f7f7f"
_INCHES_WIDE = 8.0
_INCHES_PER_LINE = 0.26
_INCHES_AROUND = 1.3
_LABELLED = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


class CannotPlot(Exception):
    """There is nothing to show. The message says so."""


@dataclass(frozen=True, slots=True)
class _Scheme:
    """Colours for one kind of page."""

    name: str
    text: str
    grid: str
    better: str


_SCHEMES = (
    _Scheme("light", text="#1f2328", grid="#d1d9e0", better="#dafbe1"),
    _Scheme("dark", text="#f0f6fc", grid="#3d444d", better="#12261e"),
)


def plot(lines: Lines, ours: str, prefix: Path) -> list[Path]:
    """Draw how many times as good as each peer this gateway is, once for light pages and once for dark ones.

    Args:
        lines: what was measured.
        ours: the contestant that the others are compared with.
        prefix: of the files: PREFIX-light.svg and PREFIX-dark.svg.

    Returns:
        The files.

    Raises:
        CannotPlot: nothing can be drawn.
    """
    drawn = {
        figure: times for figure, rounds in lines.items() if (times := _times_as_good(figure, rounds, ours))
    }
    if not drawn:
        raise CannotPlot("--plot: no figure was measured with a peer")
    files = []
    for scheme in _SCHEMES:
        path = prefix.with_name(f"{prefix.name}-{scheme.name}.svg")
        with _styled(scheme) as pyplot:
            _draw(pyplot, drawn, scheme, path)
        files.append(path)
    return files


def _times_as_good(figure: Figure, rounds: Mapping[str, Sequence[float]], ours: str) -> dict[str, float]:
    """Return the median ratio to each peer, the inverse where less is better."""
    found = {}
    for name, values in rounds.items():
        if name in (ours, "direct") or not rounds.get(ours):
            continue
        ratio = median_ratio(rounds[ours], values)
        if ratio:
            found[name] = 1 / ratio if figure.better is Better.LESS else ratio
    return found


@contextmanager
def _styled(scheme: _Scheme) -> Iterator[Any]:
    import matplotlib  # only for those who want the picture

    matplotlib.use("svg")
    from matplotlib import pyplot

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "portofcall",  # the same picture is the same file
        "font.family": "sans-serif",
        "text.color": scheme.text,
        "axes.labelcolor": scheme.text,
        "axes.edgecolor": scheme.grid,
        "xtick.color": scheme.text,
        "ytick.color": scheme.text,
        "grid.color": scheme.grid,
    }
    with matplotlib.rc_context(settings):
        yield pyplot


def _draw(pyplot: Any, drawn: Mapping[Figure, Mapping[str, float]], scheme: _Scheme, path: Path) -> None:
    height = _INCHES_AROUND + _INCHES_PER_LINE * len(drawn)
    canvas, axes = pyplot.subplots(figsize=(_INCHES_WIDE, height), layout="constrained")
    every = [times for line in drawn.values() for times in line.values()]
    low, high = min(0.5, *every) / 1.4, max(2.0, *every) * 1.4
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.axvspan(1, high, color=scheme.better, zorder=0)
    axes.axvline(1, color=scheme.text, linewidth=1, zorder=1)
    for at, line in enumerate(drawn.values()):
        for name, times in line.items():
            axes.plot(
                [1, times], [at, at], color=_COLOURS.get(name, _OTHER), linewidth=1, alpha=0.5, zorder=2
            )
    names = dict.fromkeys(name for line in drawn.values() for name in line)
    for name in names:
        points = [(line[name], at) for at, line in enumerate(drawn.values()) if name in line]
        axes.scatter(*zip(*points, strict=True), color=_COLOURS.get(name, _OTHER), s=34, zorder=3, label=name)
    axes.set_yticks(range(len(drawn)), [figure.name for figure in drawn])
    axes.invert_yaxis()
    ticks = [tick for tick in _LABELLED if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}x" for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.grid(axis="x", zorder=0)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("times as good as the peer; right of 1x Port of Call is ahead")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(names), frameon=False)
    canvas.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(canvas)

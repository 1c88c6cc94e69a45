"""Whether a figure became worse: the arithmetic of ``--compare``."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median, quantiles

from tests.benchmarks.row import Better, Figure


class Verdict(Enum):
    """What the rounds of a comparison show."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    #: The rounds differ too much among themselves to show a change of the figure's tolerance.
    NOISE = "noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A figure of the checkout compared with that of another revision.

    Attributes:
        ratio: the checkout's value divided by the other's, the median of the rounds.
        spread: of the rounds' ratios, from the first decile to the last. With quartiles, one of six
            comparisons of a revision with itself on a busy machine found a row worse; with the range, one
            disturbed round hides any change.
        verdict: what that means.
    """

    ratio: float
    spread: float
    verdict: Verdict


def ratios(mine: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide values round by round, so that a round in which the machine was busy slows both down."""
    return [own / other for own, other in zip(mine, theirs, strict=True) if other]


def median_ratio(mine: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return the median of the rounds' ratios; None if theirs are all 0."""
    rounds = ratios(mine, theirs)
    return median(rounds) if rounds else None


def compare(figure: Figure, new: Sequence[float], old: Sequence[float]) -> Change:
    """Compare the values of one figure: two or more rounds, in each of which both were measured.

    A change counts when it exceeds both the figure's tolerance and the spread.

    Args:
        figure: which one.
        new: the checkout's values, by round.
        old: those of the other revision.
    """
    rounds = ratios(new, old)
    ratio = median(rounds)
    deciles = quantiles(rounds, n=10, method="inclusive")
    spread = deciles[-1] - deciles[0]
    loss = ratio - 1 if figure.better is Better.LESS else 1 - ratio
    if abs(loss) > max(figure.tolerance, spread):
        verdict = Verdict.WORSE if loss > 0 else Verdict.BETTER
    else:
        verdict = Verdict.NOISE if spread > figure.tolerance else Verdict.SAME
    return Change(ratio=ratio, spread=spread, verdict=verdict)

"""Work on all tunnels in several turns of the event loop, so that it holds nothing up."""

from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

_T = TypeVar("_T")


async def in_portions(items: Sequence[_T], size: int, clock: IReactorTime) -> AsyncIterator[Sequence[_T]]:
    """Yield items in portions, each in a turn of its own.

    Args:
        items: must not change meanwhile.
        size: the most in one portion.
        clock: for turns.
    """
    for start in range(0, len(items), size):
        if start:
            await deferLater(clock, 0)
        yield items[start : start + size]

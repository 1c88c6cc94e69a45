"""File descriptors: as many as the process may have, and what fits into them."""

import dataclasses
import resource
from contextlib import suppress
from typing import Any, Final

from twisted.internet.selectreactor import SelectReactor

from portofcall.limits.values import Limits

#: Shares of the file descriptors. A tunnel takes two, as a download does, a waiting connection one; some are
#: left.
_TUNNELS_PER_DESCRIPTOR: Final = 0.4
_WAITING_PER_DESCRIPTOR: Final = 0.15
_DOWNLOADS_PER_DESCRIPTOR: Final = 0.01


def raise_limit(reactor: Any) -> None:
    """Raise the soft limit of file descriptors to the hard one, as any process may.

    The soft one, 1024 in general, is that low for programs that use select(); with it, it is left alone.

    Args:
        reactor: watches the descriptors.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and not isinstance(reactor, SelectReactor):
        # The kernel may refuse more than fs.nr_open although the hard limit is none.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptor_limit() -> int | None:
    """Return how many file descriptors the process may have; None means no limit."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def affordable(limits: Limits, descriptors: int | None) -> Limits:
    """Reduce the limits to what the file descriptors allow. No limit, 0, stays none."""
    if descriptors is None:
        return limits
    return dataclasses.replace(
        limits,
        max_waiting=_within(limits.max_waiting, descriptors * _WAITING_PER_DESCRIPTOR),
        max_downloads=_within(limits.max_downloads, descriptors * _DOWNLOADS_PER_DESCRIPTOR),
        max_tunnels=_within(limits.max_tunnels, descriptors * _TUNNELS_PER_DESCRIPTOR),
    )


def _within(limit: int, share: float) -> int:
    return limit and max(1, min(limit, int(share)))

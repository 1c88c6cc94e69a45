"""What has happened since the start, counted: the observer behind ``/metrics``."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeGuard

from portofcall.errors import GatewayError, TargetError, UnknownToken
from portofcall.events import (
    Event,
    LimitReached,
    ProbeEnded,
    Refused,
    RequestServed,
    Stage,
    TunnelEnded,
    TunnelOpened,
)
from portofcall.relay.causes import SLUGS

#: Upper bounds of durations, in seconds: of something that a person waits for, and of a tunnel.
WAIT_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TUNNEL_SECONDS: Final = (0.1, 1, 10, 60, 300, 1800, 3600, 4 * 3600, 24 * 3600)
#: How a client can fail to authenticate; see `portofcall.events.Refused`; a token is no login, but as secret.
ATTEMPTS: Final = ("password", "ticket", "token", "certificate", "none")
#: How the sending of a large file can end.
DOWNLOADS: Final = ("ok", "client-lost", "client-stalled", "file-changed", "file-unreadable")
#: Stands for every label value that is not known beforehand, so that there is a bounded number of them.
OTHER: Final = "other"


class Histogram:
    """Counts values by size.

    Args:
        bounds: the upper bounds, each included, in ascending order.

    Attributes:
        total: the sum of all values.
    """

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.total = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float | None) -> None:
        """Count a value; None is none."""
        if value is not None:
            self._counts[bisect_left(self._bounds, value)] += 1
            self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return each upper bound, with the number of values up to it."""
        found, below = [], 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            below += count
            found.append(("+Inf" if bound == float("inf") else f"{bound:g}", float(below)))
        return found


class LabelledCounts:
    """Counts by label, from a closed set of labels.

    Args:
        labels: the set; each begins with 0, so that its first increase is seen. Others are `OTHER`.
    """

    __slots__ = ("counts",)

    def __init__(self, labels: Iterable[str]) -> None:
        self.counts = Counter(dict.fromkeys([*sorted(labels), OTHER], 0))

    def add(self, label: str) -> None:
        """Count one."""
        self.counts[label if label in self.counts else OTHER] += 1


def slugs(root: type[GatewayError]) -> set[str]:
    """Return the slugs of all errors below one of the tree."""
    found = {getattr(root, "slug", "")} - {""}
    return found.union(*(slugs(leaf) for leaf in root.__subclasses__()))


class EventCounts:
    """Counts a gateway's events. What a label can be is known beforehand: a host or a token never is one.

    Args:
        limits: the options of the limits that can be reached, without dashes in front.

    Attributes:
        tunnels: tunnels that ended, by slug.
        probes: pings and banners that ended, by slug.
        downloads: large files that were sent, by result.
        refused: requests that were refused, by slug.
        auth_failures: those that failed to authenticate, by how they tried.
        limits: refusals by a limit, by its option.
        tunnel_seconds: how long tunnels lived.
        look_up_seconds: how long look-ups of host names took.
        dial_seconds: how long connecting to targets took.
        handshake_seconds: how long it took from a complete request to its admission.
    """

    def __init__(self, limits: Iterable[str]) -> None:
        self.tunnels = LabelledCounts({*SLUGS, *slugs(TargetError)})
        self.probes = LabelledCounts({"ok", "client-lost", "internal-error", *slugs(TargetError)})
        self.downloads = LabelledCounts(DOWNLOADS)
        self.refused = LabelledCounts({"tls-handshake-failed", *slugs(GatewayError)})
        self.auth_failures = LabelledCounts(ATTEMPTS)
        self.limits = LabelledCounts(limits)
        self.tunnel_seconds = Histogram(TUNNEL_SECONDS)
        self.look_up_seconds = Histogram(WAIT_SECONDS)
        self.dial_seconds = Histogram(WAIT_SECONDS)
        self.handshake_seconds = Histogram(WAIT_SECONDS)

    def __call__(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, TunnelEnded):
            self.tunnels.add(event.slug)
            self.tunnel_seconds.observe(event.seconds)
            if event.slug == UnknownToken.slug:
                self.auth_failures.add("token")
        elif isinstance(event, ProbeEnded):
            self.probes.add(event.slug)
        elif isinstance(event, RequestServed):
            if event.result:
                self.downloads.add(event.result)
        elif isinstance(event, Refused):
            self.refused.add(event.slug)
            if event.attempted:
                self.auth_failures.add(event.attempted)
        elif isinstance(event, LimitReached):
            # The option has the name of the field, with dashes.
            self.limits.add(event.limit.replace("_", "-"))
        if isinstance(event, TunnelOpened | ProbeEnded) or _never_opened(event):
            self.look_up_seconds.observe(event.route.look_up_seconds)
            self.dial_seconds.observe(event.route.dial_seconds)
            if not isinstance(event, ProbeEnded):
                self.handshake_seconds.observe(event.handshake_seconds)


def _never_opened(event: Event) -> TypeGuard[TunnelEnded]:
    """Whether it is the end of a tunnel whose dial has not been counted when it opened."""
    return isinstance(event, TunnelEnded) and event.stage in (Stage.DNS, Stage.DIAL)

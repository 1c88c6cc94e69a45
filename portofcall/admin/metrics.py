"""The metrics of a gateway, in Prometheus' text format.

Only this module imports `prometheus_client`, which is an extra dependency. Nothing is counted for it per
message: bytes are summed up when they are asked for.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from portofcall import __version__
from portofcall.admin.counts import EventCounts, Histogram, LabelledCounts
from portofcall.relay.carried import Carried

_DIRECTIONS: Final = ("up", "down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the metrics of one gateway come from.

    Attributes:
        counts: has observed the gateway's events.
        lag: how late the event loop was, in seconds.
        tunnels: returns the number of tunnels that are not over.
        downloads: returns the number of large files that are being sent.
        draining: returns whether new clients are sent elsewhere.
        reloaded: returns whether the last reload of files succeeded.
        certificates: returns the seconds until each certificate ends, by the name of its file.
    """

    counts: EventCounts
    lag: Histogram
    tunnels: Callable[[], int]
    downloads: Callable[[], int]
    draining: Callable[[], bool]
    reloaded: Callable[[], bool]
    certificates: Callable[[], Mapping[str, float]]


class Metrics:
    """All metrics, in a registry of their own.

    Args:
        sources: where they come from.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._up = self._down = Carried()
        self._registry = CollectorRegistry()
        self._registry.register(cast(Any, self))
        ProcessCollector(registry=self._registry)

    def text(self, up: Carried, down: Carried) -> bytes:
        """Return all of them as they are now.

        Args:
            up: what all tunnels together have carried from clients.
            down: the same to clients.
        """
        self._up, self._down = up, down
        return generate_latest(self._registry)

    def describe(self) -> list[Any]:
        """Return nothing, so that the registry collects no metrics to learn their names."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield all but those of the process (`prometheus_client.registry.Collector`)."""
        sources = self._sources
        versions = {"version": __version__, "python": platform.python_version()}
        yield _gauge("build_info", "1; the versions are labels.", versions, 1)
        yield from _events(sources.counts)
        yield _gauge("active_tunnels", "Tunnels that are not over.", {}, sources.tunnels())
        yield _gauge("active_downloads", "Large files that are being sent.", {}, sources.downloads())
        yield from _carried(self._up, self._down)
        yield _gauge("draining", "1 while new clients are sent elsewhere.", {}, sources.draining())
        yield _gauge("config_reload_success", "1 if the last reload succeeded.", {}, sources.reloaded())
        expiry = GaugeMetricFamily(
            "portofcall_certificate_expiry_seconds",
            "Time until a certificate of the gateway ends; negative once it has.",
            labels=["certificate"],
        )
        for name, seconds in sources.certificates().items():
            expiry.add_metric([name], seconds)
        yield expiry
        yield _histogram("event_loop_lag_seconds", "How late a timer fired.", sources.lag)


def _events(counts: EventCounts) -> Iterator[Any]:
    yield _counter("tunnels", "Tunnels that ended.", "result", counts.tunnels)
    yield _counter("probes", "Pings and SSH banners that ended.", "result", counts.probes)
    yield _counter("downloads", "Large files that were sent, or not.", "result", counts.downloads)
    yield _counter("refused", "Requests that were refused before any tunnel.", "reason", counts.refused)
    yield _counter("auth_failures", "Failed authentications.", "kind", counts.auth_failures)
    yield _counter("limit_reached", "Refusals because of a limit.", "limit", counts.limits)
    for name, text, histogram in (
        ("tunnel", "From the admission of a tunnel to its end.", counts.tunnel_seconds),
        ("dns", "Look-ups of host names.", counts.look_up_seconds),
        ("dial", "From the first connection attempt to a connection, or to giving up.", counts.dial_seconds),
        ("handshake", "From a complete upgrade request to its admission.", counts.handshake_seconds),
    ):
        yield _histogram(f"{name}_duration_seconds", text, histogram)


def _carried(up: Carried, down: Carried) -> Iterator[Any]:
    for name, text, values in (
        ("tunnel_bytes", "Payload passed on.", (up.passed_bytes, down.passed_bytes)),
        ("flow_control_pauses", "How often senders were paused.", (up.pauses, down.pauses)),
        (
            "flow_control_paused_seconds",
            "For how long senders were paused.",
            (up.paused_seconds, down.paused_seconds),
        ),
    ):
        yield _both(CounterMetricFamily(f"portofcall_{name}", text, labels=["direction"]), values)
    buffered = GaugeMetricFamily(
        "portofcall_buffered_bytes", "Payload that waits for slow readers.", labels=["direction"]
    )
    yield _both(buffered, (up.buffered_bytes, down.buffered_bytes))


def _both(metric: Any, values: tuple[float, float]) -> Any:
    for direction, value in zip(_DIRECTIONS, values, strict=True):
        metric.add_metric([direction], value)
    return metric


def _counter(name: str, text: str, label: str, counts: LabelledCounts) -> Any:
    metric = CounterMetricFamily(f"portofcall_{name}", text, labels=[label])
    for value, count in counts.counts.items():
        metric.add_metric([value], count)
    return metric


def _gauge(name: str, text: str, labels: Mapping[str, str], value: float) -> Any:
    metric = GaugeMetricFamily(f"portofcall_{name}", text, labels=list(labels))
    metric.add_metric(list(labels.values()), value)
    return metric


def _histogram(name: str, text: str, histogram: Histogram) -> Any:
    return HistogramMetricFamily(
        f"portofcall_{name}", text, buckets=histogram.buckets(), sum_value=histogram.total
    )

"""Events are counted by labels that are known beforehand."""

import pytest

from portofcall.admin.counts import ATTEMPTS, OTHER, EventCounts, Histogram, LabelledCounts, slugs
from portofcall.errors import RequestError, TargetError
from portofcall.events import Caller, LimitReached, Probe, ProbeEnded, Refused, Route, Side, Stage


def test_histogram_counts_values_up_to_each_bound() -> None:
    """A value on a bound counts below it, and None is no value."""
    histogram = Histogram((0.5, 10))
    for value in (0.1, 0.5, 0.6, 10, 11, None):
        histogram.observe(value)
    assert histogram.buckets() == [("0.5", 2), ("10", 4), ("+Inf", 5)]
    assert histogram.total == pytest.approx(22.2)


def test_each_known_label_begins_with_zero() -> None:
    """A rate is known from the first increase on."""
    counts = LabelledCounts(["b", "a"])
    assert counts.counts == {"a": 0, "b": 0, OTHER: 0}


def test_unknown_label_is_other() -> None:
    """However many there are, and however large: labels take memory for ever, here and in Prometheus."""
    counts = LabelledCounts(["a"])
    for label in ("a", "x" * 100_000, "host.example"):
        counts.add(label)
    assert counts.counts == {"a": 1, OTHER: 2}


def test_slugs_are_those_of_the_tree() -> None:
    """Of the leaves, at any depth."""
    assert {"unauthorized", "draining"} <= slugs(RequestError)
    assert {"blocked", "connect-timeout"} <= slugs(TargetError)
    assert "" not in slugs(RequestError) | slugs(TargetError)


def caller() -> Caller:
    """Make the caller of some request."""
    return Caller("id-1", 0.0, "192.0.2.1", "192.0.2.1", 4000)


def test_probe_is_counted_with_its_dial() -> None:
    """Times that it does not have are left out."""
    counts = EventCounts([])
    route = Route("a.example:22", look_up_seconds=None, dial_seconds=0.2)
    counts(ProbeEnded(caller(), route, Probe.PING, "ok", "ok", Side.GATEWAY, Stage.OPEN, 200, 0.3))
    counts(
        ProbeEnded(caller(), Route("?"), Probe.BANNER, "not-ssh", "no", Side.BACKEND, Stage.DIAL, 502, 0.1)
    )
    assert (counts.probes.counts["ok"], counts.probes.counts["not-ssh"]) == (1, 1)
    assert counts.dial_seconds.buckets()[-1] == ("+Inf", 1)
    assert counts.look_up_seconds.buckets()[-1] == ("+Inf", 0)


def test_refusal_is_counted_by_its_slug_and_by_what_was_tried() -> None:
    """A refusal for another reason is no failed authentication."""
    counts = EventCounts(["max-tunnels"])
    for attempted in ATTEMPTS:
        counts(Refused(caller(), "unauthorized", "no", 401, attempted=attempted))
    counts(Refused(caller(), "origin-refused", "no", 403))
    counts(LimitReached("max_tunnels", ""))
    assert (counts.refused.counts["unauthorized"], counts.refused.counts["origin-refused"]) == (5, 1)
    assert [counts.auth_failures.counts[attempted] for attempted in ATTEMPTS] == [1, 1, 1, 1, 1]
    assert counts.limits.counts == {"max-tunnels": 1, OTHER: 0}

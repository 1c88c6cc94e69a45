"""Places are counted and released, rates are enforced."""

import contextlib

import pytest

from portofcall.errors import TargetBusy, TooManyRequests
from portofcall.limits.admission import Admission, Lease
from portofcall.limits.values import Limits, Rate
from tests.support import Time


def make(**limits: object) -> tuple[Admission, Time]:
    """Make an admission with small limits, and its clock."""
    time = Time()
    return Admission(Limits(**limits), now=time), time  # type: ignore[arg-type]


def test_client_may_have_as_many_as_allowed() -> None:
    """One more is refused until one is released; other clients are not affected."""
    admission, _ = make(max_per_client=2)
    first, _second = admission.enter_client("a"), admission.enter_client("a")
    with pytest.raises(TooManyRequests, match="connections from this address") as caught:
        admission.enter_client("a")
    assert caught.value.retry_after_seconds == 1
    admission.enter_client("b")
    first.release()
    admission.enter_client("a")


def test_gateway_may_have_as_many_as_allowed() -> None:
    """The clients together; a client that is refused takes no place."""
    admission, _ = make(max_tunnels=2, max_per_client=2)
    place = admission.enter_client("a")
    admission.enter_client("b")
    for _ in range(3):
        with pytest.raises(TooManyRequests, match="full"):
            admission.enter_client("c")
    assert admission.used == 2
    place.release()
    admission.enter_client("c")


def test_target_may_have_as_many_as_allowed() -> None:
    """Each address and port has a limit of its own."""
    admission, _ = make(max_per_target=1)
    place = admission.enter_target("192.0.2.1:22", client="a")
    with pytest.raises(TargetBusy, match="too many connections"):
        admission.enter_target("192.0.2.1:22", client="a")
    admission.enter_target("192.0.2.1:23", client="a")
    place.release()
    admission.enter_target("192.0.2.1:22", client="a")


def test_one_client_can_not_lock_a_target() -> None:
    """At its own limit it is refused, with a sentence that says whose limit that is; others are not."""
    admission, _ = make(max_per_client_target=2, max_per_target=3)
    place = admission.enter_target("192.0.2.1:22", client="a")
    admission.enter_target("192.0.2.1:22", client="a")
    with pytest.raises(
        TargetBusy, match=r"too many connections from this address to 192\.0\.2\.1:22"
    ) as caught:
        admission.enter_target("192.0.2.1:22", client="a")
    assert caught.value.retry_after_seconds == 1
    admission.enter_target("192.0.2.1:23", client="a")
    admission.enter_target("192.0.2.1:22", client="b")
    place.release()
    admission.enter_target("192.0.2.1:22", client="a")


def test_default_leaves_others_most_of_a_target() -> None:
    """One client holds a quarter of the places at most."""
    admission, _ = make()
    for _ in range(64):
        admission.enter_target("t", client="a")
    with pytest.raises(TargetBusy, match="from this address"):
        admission.enter_target("t", client="a")
    for _ in range(64):
        admission.enter_target("t", client="b")


@pytest.mark.parametrize(("of_all", "of_one"), [(1, 2), (2, 1)])
def test_refused_connection_to_a_target_takes_nothing(of_all: int, of_one: int) -> None:
    """A full target keeps its rate, and one that is dialled too often its places."""
    admission, time = make(max_per_target=of_all, max_per_client_target=of_one, rate_per_target=Rate(1, 2))
    place = admission.enter_target("t", client="a")
    for _ in range(10):
        with pytest.raises(TargetBusy, match="t has too many" if of_all < of_one else "from this address"):
            admission.enter_target("t", client="a")
    place.release()
    admission.enter_target("t", client="a").release()
    for _ in range(10):
        with pytest.raises(TargetBusy, match="too often"):
            admission.enter_target("t", client="a")
    time.now += 1
    admission.enter_target("t", client="a")


def test_rates_allow_a_burst_and_then_so_many_per_second() -> None:
    """The refusal has the time until the next token."""
    admission, time = make(rate_per_client=Rate(2, 5), rate_per_target=Rate(2, 5))
    for _ in range(5):
        admission.enter_client("a").release()
        admission.enter_target("t", client="a").release()
    with pytest.raises(TooManyRequests, match="requests from this address") as refused:
        admission.enter_client("a")
    assert refused.value.retry_after_seconds == 1
    with pytest.raises(TargetBusy, match="too often") as busy:
        admission.enter_target("t", client="a")
    assert busy.value.retry_after_seconds == 1
    time.now += 0.5
    admission.enter_client("a")
    with pytest.raises(TooManyRequests):
        admission.enter_client("a")
    time.now += 3600
    for _ in range(5):
        admission.enter_client("a")
    with pytest.raises(TooManyRequests):
        admission.enter_client("a")


def test_one_client_can_not_use_up_the_rate_of_a_target() -> None:
    """By default, however fast it dials: another client always gets through."""
    admission, time = make()
    admitted = 0
    for number in range(1000):
        with contextlib.suppress(TooManyRequests):
            with admission.enter_client("a"):
                admission.enter_target("t", client="a").release()
            admitted += 1
        if number % 10 == 0:
            admission.enter_target("t", client="b").release()
        time.now += 0.001
    assert admitted == 200 + 49


def test_zero_means_no_limit() -> None:
    """For each of the limits."""
    nothing = Rate(0, 0)
    admission, _ = make(
        max_tunnels=0,
        max_per_client=0,
        max_per_target=0,
        max_per_client_target=0,
        rate_per_client=nothing,
        rate_per_target=nothing,
    )
    for _ in range(1000):
        admission.enter_client("a")
        admission.enter_target("t", client="a")


def test_browser_that_loads_a_page_does_not_meet_the_defaults() -> None:
    """A page of a hundred resources from five hosts, twice in a row."""
    admission, time = make()
    for _ in range(2):
        leases = [admission.enter_client("a") for _ in range(100)]
        leases += [admission.enter_target(f"192.0.2.{number % 5}:443", client="a") for number in range(100)]
        for lease in leases:
            lease.release()
        time.now += 1


def test_lease_is_given_back_once() -> None:
    """Releasing it again does nothing, and a with statement releases it too."""
    given_back: list[None] = []
    with Lease(lambda: given_back.append(None)) as lease:
        lease.release()
    lease.release()
    assert len(given_back) == 1


@pytest.mark.parametrize(
    ("limit", "value", "key"),
    [
        ("max_tunnels", 1, ""),
        ("max_per_client", 1, "a"),
        ("max_per_target", 1, "t"),
        ("max_per_client_target", 1, "a to t"),
        ("rate_per_client", Rate(1, 1), "a"),
        ("rate_per_target", Rate(1, 1), "t"),
    ],
)
def test_each_refusal_is_reported_with_its_limit(limit: str, value: object, key: str) -> None:
    """By the field, and with the client or target where each has a limit of its own."""
    reached: list[tuple[str, str]] = []
    admission = Admission(
        Limits(**{limit: value}),  # type: ignore[arg-type]
        now=Time(),
        reached=lambda *report: reached.append(report),
    )

    def enter() -> Lease:
        return (
            admission.enter_target("t", client="a")
            if limit.endswith("target")
            else admission.enter_client("a")
        )

    enter()
    assert reached == []
    with pytest.raises((TooManyRequests, TargetBusy)):
        enter()
    assert reached == [(limit, key)]

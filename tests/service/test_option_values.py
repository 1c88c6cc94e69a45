"""The text of an option is a value, or a sentence that says what was expected."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress.rules import RuleError
from portofcall.limits.values import GiB, KiB, MiB, Rate
from portofcall.service.option_values import (
    parse_allow,
    parse_count,
    parse_deny,
    parse_endpoint,
    parse_grace,
    parse_path,
    parse_rate,
    parse_seconds,
    parse_size,
    parse_yes_no,
    show_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1048576", MiB),
        ("512K", 512 * KiB),
        ("1M", MiB),
        ("1m", MiB),
        ("2MiB", 2 * MiB),
        ("1G", GiB),
    ],
)
def test_sizes_have_units(text: str, size: int) -> None:
    """Powers of 1024, in either case."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "banana", "1.5M", "1T", "1 M", "K", "0x10", "\u0661"])
def test_invalid_size_is_refused(text: str) -> None:
    """With an example of what is expected."""
    with pytest.raises(ValueError, match="512K"):
        parse_size(text)


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("2.5", 2.5), ("0.001", 0.001), ("86400", 86400)])
def test_seconds_are_decimal(text: str, seconds: float) -> None:
    """Whole or not."""
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "inf", "nan", "1e3", "10s", "86400.5", "\u0663"])
def test_invalid_time_is_refused(text: str) -> None:
    """With an example of what is expected."""
    with pytest.raises(ValueError, match=r"2\.5"):
        parse_seconds(text)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), (" 0.0 ", 0), ("2.5", 2.5), ("86400", 86400)])
def test_grace_may_be_zero(text: str, seconds: float) -> None:
    """Which means that there is none."""
    assert parse_grace(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "nan", "10s", "86400.5", "0x0", "00000000"])
def test_invalid_grace_is_refused(text: str) -> None:
    """With the range, which has 0 in it."""
    with pytest.raises(ValueError, match="from 0 to 86400"):
        parse_grace(text)


@pytest.mark.parametrize("size", [1, 1023, KiB, 1025, 512 * KiB, MiB, 3 * GiB, 5 * GiB + 1])
def test_shown_size_is_the_size(size: int) -> None:
    """The default in --help can be given as the option's value."""
    assert parse_size(show_size(size)) == size


def test_size_is_shown_with_its_largest_unit() -> None:
    """Not rounded."""
    assert [show_size(size) for size in (MiB, 1536 * KiB, 100, 2 * GiB)] == ["1M", "1536K", "100", "2G"]


@pytest.mark.parametrize(("text", "count"), [("0", 0), ("256", 256), (" 7 ", 7), ("999999999", 999_999_999)])
def test_counts_are_whole(text: str, count: int) -> None:
    """0 means no limit."""
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "-1", "1.5", "many", "1K", "9999999999", "\u0661"])
def test_invalid_count_is_refused(text: str) -> None:
    """With an example of what is expected."""
    with pytest.raises(ValueError, match="256, or 0 for no limit"):
        parse_count(text)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50", Rate(50, 200)),
        ("50:200", Rate(50, 200)),
        ("0.1", Rate(0.1, 1)),
        ("2.5:9", Rate(2.5, 9)),
        ("0", Rate(0, 1)),
        ("0:0", Rate(0, 0)),
    ],
)
def test_rates_have_bursts(text: str, rate: Rate) -> None:
    """Four seconds' worth by default, and at least one."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "-1", "1:0", "1:", ":5", "1:2:3", "1:2.5", "fast", "1/s"])
def test_invalid_rate_is_refused(text: str) -> None:
    """A burst of 0 would let nothing through."""
    with pytest.raises(ValueError, match="50:200 with a burst"):
        parse_rate(text)


def test_shown_rate_is_the_rate() -> None:
    """The default in --help can be given as the option's value."""
    for rate in (Rate(50, 200), Rate(2.5, 9)):
        assert parse_rate(str(rate)) == rate


@pytest.mark.parametrize("text", ["tcp:8080:interface=127.0.0.1", "unix:tls:mode=660", "haproxy:tcp:1"])
def test_endpoint_stays_text(text: str) -> None:
    """It is made with the reactor, later."""
    assert parse_endpoint(text) == text


@pytest.mark.parametrize("text", ["", "8080x:1", "tcp:banana", "tcp:1:nonsense=2", "tcp"])
def test_invalid_endpoint_is_refused(text: str) -> None:
    """Whatever its plugin raises; with an example of what is expected."""
    with pytest.raises(ValueError, match="expected a Twisted server endpoint such as tcp:8080"):
        parse_endpoint(text)


def test_rules_stay_text() -> None:
    """Each effect has its own grammar."""
    assert parse_allow("db.internal=10.0.0.0/8:22") == "db.internal=10.0.0.0/8:22"
    assert parse_deny("10.0.0.0/8") == "10.0.0.0/8"
    with pytest.raises(RuleError, match="can only allow"):
        parse_deny("db.internal=10.0.0.0/8:22")


def test_path_does_not_depend_on_a_later_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """twistd may change its directory after the start."""
    monkeypatch.chdir(tmp_path)
    path = parse_path("policy")
    monkeypatch.chdir("/")
    assert path == tmp_path / "policy"


@given(st.text())
def test_every_text_is_a_value_or_one_sentence(text: str) -> None:
    """No other exception, whatever an operator types."""
    parsers: list[Callable[[str], object]] = [parse_size, parse_seconds, parse_count, parse_rate]
    for parse in (*parsers, parse_endpoint, parse_allow, parse_deny):
        with suppress(ValueError):
            assert parse(text) is not None


@pytest.mark.parametrize("text", ["tls:/etc/keys", "tls:path=/etc/keys", "haproxy:tls:/etc/keys:8443"])
def test_tls_endpoints_are_refused(text: str) -> None:
    """Clients could make them read their folder over and over, before any credentials."""
    with pytest.raises(ValueError, match=r"expected tls\+tcp: or ssl: instead of tls:"):
        parse_endpoint(text)


def test_yes_and_no() -> None:
    """Nothing else is guessed at."""
    assert (parse_yes_no("yes"), parse_yes_no("no")) == (True, False)
    for text in ("", "Yes", "true", "0"):
        with pytest.raises(ValueError, match="expected yes or no"):
            parse_yes_no(text)

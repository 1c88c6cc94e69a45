"""Sizes and times are read as people write them."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.limits.values import GiB, KiB, MiB
from portofcall.service.option_values import parse_seconds, parse_size


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
def test_what_is_no_size_is_refused(text: str) -> None:
    """With an example of what is expected."""
    with pytest.raises(ValueError, match="512K"):
        parse_size(text)


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("2.5", 2.5), ("0.001", 0.001), ("86400", 86400)])
def test_seconds_are_decimal(text: str, seconds: float) -> None:
    """Whole or not."""
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "inf", "nan", "1e3", "10s", "86400.5", "\u0663"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """With an example of what is expected."""
    with pytest.raises(ValueError, match=r"2\.5"):
        parse_seconds(text)


@given(st.text())
def test_no_text_makes_the_parsers_raise_anything_else(text: str) -> None:
    """Whatever an operator types ends in a value or in one sentence."""
    parsers: list[Callable[[str], float]] = [parse_size, parse_seconds]
    for parse in parsers:
        with suppress(ValueError):
            assert parse(text) > 0

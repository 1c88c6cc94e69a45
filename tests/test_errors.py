"""Errors fit where they are reported, and text from outside does no harm there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall import errors
from portofcall.errors import GatewayError, TargetError, printable
from tests.support import leaves


@pytest.mark.parametrize("leaf", leaves(GatewayError))
def test_every_error_is_in_the_drawing(leaf: type[GatewayError]) -> None:
    """The module's drawing has slug, status and code of each leaf."""
    (line,) = (line for line in (errors.__doc__ or "").splitlines() if f" {leaf.__name__} " in line)
    assert line.split()[-1 if not issubclass(leaf, TargetError) else -2] == str(leaf.http_status)
    assert leaf.slug in line
    if issubclass(leaf, TargetError):
        assert line.split()[-1] == str(leaf.close_code)


def test_slugs_are_unique() -> None:
    """A program can tell errors apart."""
    slugs = [leaf.slug for leaf in leaves(GatewayError)]
    assert len(slugs) == len(set(slugs))


@given(st.text())
def test_close_reason_fits_a_close_frame(sentence: str) -> None:
    """At most 123 bytes, and never half a character."""
    reason = errors.Blocked(sentence.encode("utf-8", "replace").decode()).close_reason
    assert reason.startswith("blocked: ")
    assert len(reason.encode()) <= 123


@given(st.text(), st.integers(10, 50))
def test_printable_text_is_short_plain_ascii(text: str, most: int) -> None:
    """No control character reaches a terminal, and no page of text a log."""
    plain = printable(text, most)
    assert len(plain) <= most
    assert all(" " <= character <= "~" for character in plain)


def test_printable_leaves_plain_text_alone() -> None:
    """Only what could do harm is changed."""
    assert printable("db-1.example.com:5432") == "db-1.example.com:5432"

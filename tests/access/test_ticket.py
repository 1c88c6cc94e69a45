"""Claims become a ticket that is good for its target, or an error that names the claim."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.access.ticket import Ticket, read_claims
from portofcall.target import Target, TargetName

CLAIMS = {"aud": "portofcall", "exp": 1_800_000_000}


def test_claims_become_a_ticket() -> None:
    """The host in its one spelling; the later of iat and nbf counts; other claims are ignored."""
    claims = {"sub": "Zoë", "jti": "x", "once": True, "host": "Bücher.Example.", "port": 22, "extra": [1]}
    assert read_claims({**CLAIMS, "iat": 1, "nbf": 2.5, **claims}) == Ticket(
        expires_at=1_800_000_000,
        valid_from=2.5,
        subject="Zoë",
        ticket_id="x",
        once=True,
        host="xn--bcher-kva.example",
        port=22,
    )


def test_audience_may_be_a_list() -> None:
    """Some libraries write it so."""
    for audience in (["portofcall"], ["other", "portofcall"]):
        assert read_claims({**CLAIMS, "aud": audience}) == read_claims(CLAIMS)


@pytest.mark.parametrize(
    ("pins", "good", "bad"),
    [
        ({}, ["db.example:5432", "[::1]:22", "db", None], []),
        ({"host": "db.example"}, ["db.example:1", "db.example:2"], ["a.db.example:1", "[::1]:1", "db", None]),
        ({"port": 22}, ["a.example:22", "b.example:22"], ["a.example:23", "db", None]),
        ({"host": "[::1]", "port": 22}, ["[::1]:22"], ["[::1]:23", "[::2]:22", "db", None]),
        ({"target": "db"}, ["db"], ["DB", "other", "db:1", None]),
    ],
)
def test_pinned_ticket_is_good_for_its_target_only(
    pins: dict[str, Any], good: list[str | None], bad: list[str | None]
) -> None:
    """A request without a target needs a ticket without pins."""
    ticket = read_claims({**CLAIMS, **pins})

    def admits(text: str | None) -> bool:
        if text is None or ":" not in text:
            return ticket.admits(None if text is None else TargetName.parse(text))
        host, _, port = text.rpartition(":")
        return ticket.admits(Target.parse(host, port))

    assert [text for text in [*good, *bad] if admits(text)] == good


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"session_exp": "tomorrow"}, "session_exp"),
        ({"session_exp": -1}, "session_exp"),
        ({"aud": None}, "aud"),
        ({"aud": "other"}, "aud"),
        ({"aud": ["other"]}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": [["portofcall"]]}, "aud"),
        ({"aud": {"portofcall": 1}}, "aud"),
        ({"exp": None}, "exp"),
        ({"exp": "1900000000"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": [1]}, "exp"),
        ({"exp": float("nan")}, "exp"),
        ({"exp": float("inf")}, "exp"),
        ({"exp": 10**400}, "exp"),
        ({"exp": -1}, "exp"),
        ({"iat": "now"}, "iat"),
        ({"nbf": float("nan")}, "nbf"),
        ({"sub": ""}, "sub"),
        ({"sub": 1}, "sub"),
        ({"sub": "s" * 129}, "sub"),
        ({"jti": ["x"]}, "jti"),
        ({"jti": "x" * 129}, "jti"),
        ({"once": True}, "jti"),
        ({"once": 1, "jti": "x"}, "once"),
        ({"once": "false", "jti": "x"}, "once"),
        ({"host": None}, "host"),
        ({"host": ["db.example"]}, "host"),
        ({"host": "127.1"}, "host"),
        ({"host": "\ud800"}, "host"),
        ({"port": None}, "port"),
        ({"port": "22"}, "port"),
        ({"port": True}, "port"),
        ({"port": 0}, "port"),
        ({"port": 22.0}, "port"),
        ({"target": None}, "target"),
        ({"target": ["db"]}, "target"),
        ({"target": ""}, "target"),
        ({"target": "a b"}, "target"),
        ({"target": "db", "host": "db.example"}, "target"),
        ({"target": "db", "port": 22}, "target"),
    ],
)
def test_invalid_claim_is_named(claims: dict[str, Any], named: str) -> None:
    """An invalid pin must not become no pin."""
    with pytest.raises(ValueError, match=f"^{named} must be "):
        read_claims({**CLAIMS, **claims})


@pytest.mark.parametrize("missing", ["aud", "exp"])
def test_audience_and_expiry_are_required(missing: str) -> None:
    """A ticket without an end would be a password."""
    with pytest.raises(ValueError, match=f"^{missing} must be"):
        read_claims({name: value for name, value in CLAIMS.items() if name != missing})


NAMES = st.sampled_from(["aud", "exp", "iat", "nbf", "sub", "jti", "once", "host", "port", "target", "x"])
SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)


@given(st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, max_size=2)))
def test_every_object_is_a_ticket_or_refused(claims: dict[str, Any]) -> None:
    """No other exception, whatever an issuer writes."""
    for values in (claims, {**CLAIMS, **claims}):
        with suppress(ValueError):
            assert read_claims(values).expires_at >= 0

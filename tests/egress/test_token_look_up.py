"""Unknown tokens count against the client; one that is known resets the count."""

import pytest
from twisted.internet.task import Clock

from portofcall.egress.named_target import NamedTarget, Targets
from portofcall.egress.token_look_up import TokenLookUp
from portofcall.errors import TooManyRequests
from portofcall.limits.failure_backoff import FREE_FAILURES
from portofcall.target import Target, Token

KNOWN = NamedTarget(Token("known"), Target("10.0.0.5", 5901))


def look_up(clock: Clock) -> TokenLookUp:
    """Make one that knows a token."""
    return TokenLookUp(lambda: Targets.of([KNOWN]), monotonic=clock.seconds)


def test_unknown_tokens_make_the_client_wait() -> None:
    """Each client for itself, and in the end not even a known token is looked up."""
    clock = Clock()
    tokens = look_up(clock)
    for number in range(FREE_FAILURES):
        tokens.count(Token(f"guess {number}"), "client")
    for text in ("guess", "known"):
        with pytest.raises(TooManyRequests):
            tokens.count(Token(text), "client")
    tokens.count(Token("known"), "another client")
    clock.advance(1)
    tokens.count(Token("known"), "client")


def test_token_that_is_known_resets_the_count() -> None:
    """As a valid password does."""
    tokens = look_up(Clock())
    for _ in range(3):
        for _ in range(FREE_FAILURES - 1):
            tokens.count(Token("guess"), "client")
        tokens.count(Token("known"), "client")

"""Unknown tokens count against the client; one that is found, in a file or by a source, resets the count."""

from collections.abc import Coroutine
from typing import Any
from unittest.mock import patch

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from portofcall.egress.named_target import NamedTarget, Targets
from portofcall.egress.token_look_up import TokenLookUp
from portofcall.errors import TooManyRequests
from portofcall.limits.failure_backoff import FREE_FAILURES
from portofcall.target import Target, Token

KNOWN = NamedTarget(Token("known"), Target("10.0.0.5", 5901))
FOUND = NamedTarget(Token("found"), Target("10.0.0.6", 5901))


def result(look_up: Coroutine[Deferred[Any], Any, Token | NamedTarget]) -> Token | NamedTarget:
    """Return what a look-up returns at once."""
    found: list[Token | NamedTarget] = []
    failed: list[BaseException] = []
    Deferred.fromCoroutine(look_up).addCallbacks(found.append, lambda failure: failed.append(failure.value))
    for problem in failed:
        raise problem
    return found[0]


def look_up(clock: Clock) -> TokenLookUp:
    """Make one that knows a token, and has a source that knows another."""
    tokens = TokenLookUp(lambda: Targets.of([KNOWN]), monotonic=clock.seconds)
    tokens.source = lambda token: succeed(FOUND if token == FOUND.name else None)
    return tokens


def test_token_of_a_file_is_found_without_the_source() -> None:
    """The dial finds its target by itself, and so does a later look at the open tunnel."""
    tokens = look_up(Clock())
    with patch.object(tokens, "source") as source:
        assert result(tokens.find(Token("known"), "client")) == Token("known")
    source.assert_not_called()


def test_unknown_tokens_make_the_client_wait() -> None:
    """Each client for itself, and in the end not even a known token is looked up."""
    clock = Clock()
    tokens = look_up(clock)
    for number in range(FREE_FAILURES):
        assert result(tokens.find(Token(f"guess {number}"), "client")) == Token(f"guess {number}")
    for text in ("guess", "known", "found"):
        with pytest.raises(TooManyRequests):
            result(tokens.find(Token(text), "client"))
    assert result(tokens.find(Token("found"), "another client")) == FOUND
    clock.advance(1)
    assert result(tokens.find(Token("found"), "client")) == FOUND


@pytest.mark.parametrize("text", ["known", "found"])
def test_token_that_is_found_resets_the_count(text: str) -> None:
    """As a valid password does."""
    tokens = look_up(Clock())
    for _ in range(3):
        for _ in range(FREE_FAILURES - 1):
            result(tokens.find(Token("guess"), "client"))
        result(tokens.find(Token(text), "client"))

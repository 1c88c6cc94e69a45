"""Tokens are looked up for admitted clients, and guessing them is slowed down like guessing passwords."""

from collections.abc import Callable

from portofcall.egress.named_target import Targets
from portofcall.limits.failure_backoff import FailureBackoff
from portofcall.target import Token


class TokenLookUp:
    """Counts the unknown tokens of each client.

    These failures are counted apart from those of passwords and tickets, or a client that is authenticated at
    each attempt would reset them.

    Args:
        targets: returns those of now.
        monotonic: a clock in seconds that never jumps.
    """

    def __init__(self, targets: Callable[[], Targets], *, monotonic: Callable[[], float]) -> None:
        self._targets = targets
        self._failures = FailureBackoff(monotonic=monotonic)

    def count(self, token: Token, client: str) -> None:
        """Look up a token, and count it if it is unknown: the dial will fail.

        Args:
            token: as the client sent it.
            client: the key that failures are counted by.

        Raises:
            TooManyRequests: the client has to wait; the token, valid or not, has not been looked up.
        """
        self._failures.judge(client)
        if self._targets().get(token) is None:
            self._failures.count(client)
        else:
            self._failures.forget(client)

"""Tokens are looked up for admitted clients, and guessing them is slowed down like guessing passwords."""

from collections.abc import Awaitable, Callable

from portofcall.egress.named_target import NamedTarget, Targets
from portofcall.limits.failure_backoff import FailureBackoff
from portofcall.target import Token

#: Finds the target of a token that is in no file; None if there is none.
TokenSource = Callable[[Token], Awaitable[NamedTarget | None]]


class TokenLookUp:
    """Looks up tokens.

    Its failures are counted apart from those of passwords and tickets, or a client that is authenticated at
    each attempt would reset them.

    Args:
        targets: returns those of now.
        monotonic: a clock in seconds that never jumps.

    Attributes:
        source: is asked for tokens that `targets` do not have; None means that there is nothing else.
    """

    source: TokenSource | None = None

    def __init__(self, targets: Callable[[], Targets], *, monotonic: Callable[[], float]) -> None:
        self._targets = targets
        self._failures = FailureBackoff(monotonic=monotonic)

    async def find(self, token: Token, client: str) -> Token | NamedTarget:
        """Look up a token, and count it if it is unknown. It may be cancelled.

        Args:
            token: as the client sent it.
            client: the key that failures are counted by.

        Returns:
            What to dial: the target that the source has found, or the token itself, which the dial finds in
            `targets`, or does not.

        Raises:
            TooManyRequests: the client has to wait; the token, valid or not, has not been looked up.
        """
        self._failures.judge(client)
        found = self._targets().get(token)
        if found is None and self.source is not None:
            found = await self.source(token)
            # Many may have been asked for at once.
            self._failures.judge(client)
        if found is None:
            self._failures.count(client)
            return token
        self._failures.forget(client)
        return token if token in self._targets().by_token else found

"""Authentication: passwords over HTTP Basic, checked with `twisted.cred`, and signed tickets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from traceback import extract_tb
from typing import Final, NamedTuple

from twisted.cred.checkers import ANONYMOUS, ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import LoginFailed
from twisted.internet.defer import CancelledError, DeferredSemaphore, maybeDeferred
from twisted.logger import Logger

from portofcall.access.basic_auth import BASIC_CHALLENGE, Login, parse_basic
from portofcall.access.bearer import BEARER_CHALLENGE
from portofcall.access.ticket import Ticket
from portofcall.access.ticket_key import CLOCK_SKEW_SECONDS, TicketKey
from portofcall.errors import Unauthorized, printable
from portofcall.limits.failure_backoff import FailureBackoff
from portofcall.limits.single_use import SingleUse
from portofcall.target import Wanted

#: The subject where authentication is off.
ANONYMOUS_SUBJECT: Final = "anonymous"

_MAX_SUBJECT = 64
#: The most passwords of one client that are checked at a time. It bounds a burst of guesses with a slow
#: checker, before the first is known to be wrong.
_MOST_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What authenticates a client. With neither checkers nor a key, authentication is off.

    Attributes:
        checkers: check `IUsernamePassword`, as made by ``strcred``; the first that accepts decides.
        ticket_key: verifies tickets; None means that tickets are not accepted.
        end_at_exp: whether a ticket's ``exp`` ends its tunnel, as its ``session_exp`` does in any case.

    Raises:
        ValueError: a checker does not take passwords.
    """

    checkers: Sequence[ICredentialsChecker] = ()
    ticket_key: TicketKey | None = None
    end_at_exp: bool = False

    def __post_init__(self) -> None:
        for checker in self.checkers:
            if IUsernamePassword not in checker.credentialInterfaces:
                raise ValueError(f"{type(checker).__name__} does not check users and passwords")

    @property
    def required(self) -> bool:
        """Whether clients have to authenticate."""
        return bool(self.checkers or self.ticket_key)


class Identity(NamedTuple):
    """An authenticated client.

    Attributes:
        subject: for the log: plain ASCII, at most 64 characters.
        session_seconds: how long from now its tunnel may live; None means no limit.
    """

    subject: str
    session_seconds: float | None = None


class Authenticator:
    """Authenticates clients, and refuses those that fail.

    A ticket decides if one is given and a key for tickets is configured; otherwise a password decides. With
    neither checkers nor a key every client is anonymous.

    Failures are counted per client, see `portofcall.limits.failure_backoff`. While a client has to wait, its
    passwords are not checked. Its tickets are, and a valid one is accepted: a signature can't be guessed, and
    guessing passwords behind the same address must not lock out ticket holders.

    No password and no token goes into an error, a log or a metric. A checker that fails is logged with its
    name, the error's type and its place, because the error's own text may contain the password; for the
    client it is a failure like any other.

    A checker that never responds has no timeout. Twisted's own checkers respond at once; they run in the
    reactor's thread, so a slow hash or file holds up every tunnel.

    Args:
        credentials: what is accepted.
        wall_clock: returns the time for tickets, in seconds since 1970.
        monotonic: returns the time for failures, in seconds.

    Attributes:
        credentials: as given. May be replaced at any time.
    """

    _log = Logger()

    def __init__(
        self, credentials: Credentials, *, wall_clock: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        self.credentials = credentials
        self._wall_clock = wall_clock
        self._spent = SingleUse()
        self._failures = FailureBackoff(monotonic=monotonic)
        self._turns: dict[str, DeferredSemaphore] = {}

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header of a 401 (RFC 9110 §11.6.1)."""
        return BASIC_CHALLENGE if self.credentials.checkers else BEARER_CHALLENGE

    async def check(
        self,
        *,
        authorization: Sequence[bytes],
        tickets: Sequence[bytes],
        client: str,
        target: Wanted | None,
    ) -> Identity:
        """Authenticate a request. It may be cancelled.

        Make it the last check before the target is dialled: it spends a single-use ticket.

        Args:
            authorization: the values of the Authorization header.
            tickets: the tickets of the query and the headers.
            client: the key that failures are counted by, see `portofcall.access.client_address.client_key`.
            target: the target of the request; None if it is invalid, and nothing will be dialled. Then no
                ticket is spent, and a pinned one is refused.

        Returns:
            The client's identity.

        Raises:
            Unauthorized: the client is not authenticated.
            TooManyRequests: too many attempts of the client have failed.
        """
        accepted = self.credentials
        if accepted.ticket_key and tickets:
            return self._by_ticket(accepted.ticket_key, tickets, client, target)
        if accepted.checkers and authorization:
            turns = self._turns.setdefault(client, DeferredSemaphore(_MOST_AT_ONCE))
            try:
                async with turns:
                    return Identity(await self._by_password(authorization, client))
            finally:
                if turns.tokens == turns.limit:
                    self._turns.pop(client, None)
        if accepted.required:
            wanted = {"a user and a password": accepted.checkers, "a ticket": accepted.ticket_key}
            raise Unauthorized(
                f"this gateway requires {' or '.join(name for name, on in wanted.items() if on)}"
            )
        return Identity(ANONYMOUS_SUBJECT)

    def _by_ticket(
        self, key: TicketKey, tickets: Sequence[bytes], client: str, target: Wanted | None
    ) -> Identity:
        now = self._wall_clock()
        subject = ""
        try:
            if len(tickets) != 1:
                raise Unauthorized("ticket must be given once")
            ticket = key.verify(tickets[0].decode("ascii", "replace"), now)
            subject = printable(ticket.subject or "ticket", _MAX_SUBJECT)
            if not ticket.admits(target):
                raise Unauthorized("the ticket is for another target")
            if target is not None:
                self._spend(ticket, now)
        except Unauthorized as problem:
            problem.attempted, problem.user = "ticket", subject
            self._failures.judge(client)
            self._failures.count(client)
            raise
        self._failures.forget(client)
        ends = [ticket.session_ends_at] if ticket.session_ends_at is not None else []
        if self.credentials.end_at_exp:
            ends.append(ticket.expires_at)
        return Identity(subject, min(ends) - now if ends else None)

    def _spend(self, ticket: Ticket, now: float) -> None:
        if ticket.once and ticket.ticket_id is not None:
            # An expired ticket is remembered for as long as clocks may differ.
            self._spent.spend(ticket.ticket_id, ticket.expires_at + CLOCK_SKEW_SECONDS, now)

    async def _by_password(self, authorization: Sequence[bytes], client: str) -> str:
        self._failures.judge(client)
        user = ""
        try:
            login = parse_basic(authorization)
            user = printable(login.username.decode("utf-8", "backslashreplace"), _MAX_SUBJECT)
            subject = await self._ask(login)
        except Unauthorized as problem:
            problem.attempted, problem.user = "password", user
            self._failures.count(client)
            raise
        self._failures.forget(client)
        return subject

    async def _ask(self, login: Login) -> str:
        """Try one checker after the other."""
        for checker in self.credentials.checkers:
            try:
                avatar = await maybeDeferred(checker.requestAvatarId, login)
                return _subject(avatar)
            except LoginFailed:
                continue
            except CancelledError:
                raise
            except Exception as problem:  # noqa: BLE001 - each checker raises what it likes
                place = extract_tb(problem.__traceback__)[-1]
                self._log.error(
                    "{checker} could not check a password: {problem} at {file}:{line}",
                    checker=type(checker).__name__,
                    problem=type(problem).__name__,
                    file=place.filename,
                    line=place.lineno,
                )
        raise Unauthorized("the user or the password is wrong")


def _subject(avatar: object) -> str:
    """Turn a checker's avatar ID into a subject. A value that is none, such as None, is a failure."""
    if avatar == ANONYMOUS:
        return ANONYMOUS_SUBJECT
    if isinstance(avatar, bytes):
        avatar = avatar.decode("utf-8", "backslashreplace")
    if not isinstance(avatar, str) or not avatar:
        raise TypeError("a checker must return an avatar ID")
    return printable(avatar, _MAX_SUBJECT)

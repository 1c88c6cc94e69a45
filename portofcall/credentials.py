"""Proof of who asks: passwords over HTTP Basic, checked through `twisted.cred`, and signed tickets."""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from traceback import extract_tb
from typing import Final

from twisted.cred.checkers import ANONYMOUS, ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import LoginFailed
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from portofcall.errors import Unauthorized, printable
from portofcall.failures import Failures
from portofcall.target import Target
from portofcall.tickets import SpentTickets, TicketKey

#: The WWW-Authenticate header of a 401 (RFC 7617 §2.1), where passwords are taken.
BASIC_CHALLENGE: Final = 'Basic realm="portofcall", charset="UTF-8"'
#: The same where only tickets are taken. Browsers don't know it, and so ask nobody for a password.
TICKET_CHALLENGE: Final = 'Ticket realm="portofcall"'
#: Who asks where nobody has to prove anything.
ANYBODY: Final = "anonymous"
#: A longer Authorization header is refused before any work is done on it.
MAX_AUTHORIZATION_BYTES: Final = 1024

_MAX_SUBJECT = 64
#: How many passwords of one client are checked at a time. It bounds how far a burst of guesses can get
#: before the first is known to be wrong, where a checker takes its time.
_MOST_AT_ONCE = 4

_BASIC = re.compile(rb"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
#: RFC 7617 §2: neither user nor password has control characters.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")


@implementer(IUsernamePassword)
class Login:
    """A user and a password, which are compared in a time that does not depend on where they differ."""

    def __init__(self, username: bytes, password: bytes) -> None:
        self.username = username
        self.password = password

    def checkPassword(self, password: bytes) -> bool:
        """Whether that is the password."""
        return hmac.compare_digest(self.password, password)


def parse_basic(authorization: Sequence[bytes]) -> Login:
    """Read user and password from an Authorization header (RFC 7617).

    Args:
        authorization: the header's values.

    Raises:
        Unauthorized: it is not one header, of at most `MAX_AUTHORIZATION_BYTES`, with Basic and the canonical
            base64 of a user that is not empty, a colon and a password, in UTF-8 without control characters.
    """
    whole = authorization[0] if len(authorization) == 1 else b""
    if len(whole) <= MAX_AUTHORIZATION_BYTES and (match := _BASIC.fullmatch(whole)):
        with suppress(ValueError):
            decoded = b64decode(match[1], validate=True)
            user, colon, password = decoded.decode("utf-8").partition(":")
            canonical = b64encode(decoded) == match[1]
            if canonical and user and colon and not _CONTROL.search(user + password):
                return Login(user.encode(), password.encode())
    raise Unauthorized("Authorization must be given once, as Basic with user and password in UTF-8")


class Credentials:
    """Finds out who asks, and refuses whoever can't prove it.

    A ticket decides where one is given and there is a key for tickets; else a password decides. With neither
    checkers nor a key everybody may ask.

    Failures are counted for each client, see `portofcall.failures`. While a client has to wait its passwords
    are not looked at. Its tickets are, and a sound one opens: a signature can't be guessed, and somebody who
    guesses passwords behind the same address must not lock out those who have tickets.

    No password and no token goes into an error, a log or a metric. A checker that breaks is logged by its
    name, the error's type and its place, because the error's own text may have the password in it; for the
    client it is a failure like others.

    It does not hurry a checker that never answers. The checkers that come with Twisted answer at once; they
    run in the reactor's thread, so the time that their hash or file takes is everybody's.

    Args:
        checkers: take `IUsernamePassword`, as made by ``strcred``; the first that accepts decides.
        ticket_key: verifies tickets; None takes none.
        wall_clock: tells the time for tickets, in seconds since 1970.
        monotonic: tells the time between failures, in seconds.

    Raises:
        ValueError: a checker does not take passwords.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        checkers: Sequence[ICredentialsChecker] = (),
        ticket_key: TicketKey | None = None,
        wall_clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        for checker in checkers:
            if IUsernamePassword not in checker.credentialInterfaces:
                raise ValueError(f"{type(checker).__name__} does not check users and passwords")
        self._checkers = tuple(checkers)
        self._ticket_key = ticket_key
        self._wall_clock = wall_clock
        self._spent = SpentTickets()
        self._failures = Failures(monotonic=monotonic)
        self._turns: dict[str, DeferredSemaphore] = {}

    @property
    def required(self) -> bool:
        """Whether anybody has to prove anything."""
        return bool(self._checkers or self._ticket_key)

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header that a 401 owes (RFC 9110 §11.6.1)."""
        return BASIC_CHALLENGE if self._checkers else TICKET_CHALLENGE

    def check(
        self,
        *,
        authorization: Sequence[bytes],
        tickets: Sequence[bytes],
        client: str,
        target: Target | None,
    ) -> Deferred[str]:
        """Find out who asks.

        Make it the last check before the target is dialled: it uses up a ticket for single use.

        Args:
            authorization: the values of the Authorization header.
            tickets: the tickets of the query.
            client: what failures are counted for, see `portofcall.access.client_key`.
            target: where to; None where that can't be read, and nothing will be dialled. Then no ticket is
                used up, and one that is pinned is refused.

        Returns:
            Who it is, for the log: plain ASCII, at most 64 characters. Fails with `Unauthorized`, or with
            `TooManyRequests`. It may be cancelled.
        """
        return Deferred.fromCoroutine(self._check(authorization, tickets, client, target))

    async def _check(
        self, authorization: Sequence[bytes], tickets: Sequence[bytes], client: str, target: Target | None
    ) -> str:
        if self._ticket_key and tickets:
            return self._by_ticket(self._ticket_key, tickets, client, target)
        if self._checkers and authorization:
            turns = self._turns.setdefault(client, DeferredSemaphore(_MOST_AT_ONCE))
            try:
                async with turns:
                    return await self._by_password(authorization, client)
            finally:
                if turns.tokens == turns.limit:
                    self._turns.pop(client, None)
        if self.required:
            wanted = {"a user and a password": self._checkers, "a ticket": self._ticket_key}
            raise Unauthorized(
                f"this gateway asks for {' or '.join(name for name, on in wanted.items() if on)}"
            )
        return ANYBODY

    def _by_ticket(self, key: TicketKey, tickets: Sequence[bytes], client: str, target: Target | None) -> str:
        now = self._wall_clock()
        try:
            if len(tickets) != 1:
                raise Unauthorized("ticket must be given once")
            ticket = key.verify(tickets[0].decode("ascii", "replace"), now)
            if not ticket.admits(target):
                raise Unauthorized("the ticket is for another target")
            if target is not None:
                self._spent.spend(ticket, now)
        except Unauthorized:
            self._failures.judge(client)
            self._failures.count(client)
            raise
        self._failures.forget(client)
        return printable(ticket.subject or "ticket", _MAX_SUBJECT)

    async def _by_password(self, authorization: Sequence[bytes], client: str) -> str:
        self._failures.judge(client)
        try:
            subject = await self._ask(parse_basic(authorization))
        except Unauthorized:
            self._failures.count(client)
            raise
        self._failures.forget(client)
        return subject

    async def _ask(self, login: Login) -> str:
        """Ask one checker after the other."""
        for checker in self._checkers:
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
    """Write a checker's answer for the log. One that is no answer, such as None, admits nobody."""
    if avatar == ANONYMOUS:
        return ANYBODY
    if isinstance(avatar, bytes):
        avatar = avatar.decode("utf-8", "backslashreplace")
    if not isinstance(avatar, str) or not avatar:
        raise TypeError("a checker must answer with an avatar ID")
    return printable(avatar, _MAX_SUBJECT)

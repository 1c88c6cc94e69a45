"""Clients authenticate with a password or a ticket, guessing is slowed down, and secrets stay secret."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.cred.checkers import (
    ANONYMOUS,
    AllowAnonymousAccess,
    FilePasswordDB,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.access.authenticator import Authenticator, Credentials, Identity
from portofcall.access.basic_auth import MAX_AUTHORIZATION_BYTES, Login
from portofcall.access.ticket_key import TicketKey
from portofcall.errors import GatewayError, TooManyRequests, Unauthorized
from portofcall.limits.failure_backoff import (
    FREE_FAILURES,
    LONGEST_WAIT_SECONDS,
    WINDOW_SECONDS,
)
from portofcall.limits.single_use import SingleUse
from portofcall.target import Target
from tests.support import basic

MARKER = "Swordfish"
KEY = TicketKey.load(b"0123456789abcdef0123456789abcdef")
HERE, THERE = Target("here.example", 22), Target("there.example", 22)


@implementer(ICredentialsChecker)
class Checker:
    """Answers with a function, and remembers the passwords."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, answer: Callable[[Login], Any]) -> None:
        self.answer = answer
        self.asked: list[bytes] = []

    def requestAvatarId(self, credentials: Login) -> Any:
        self.asked.append(credentials.password)
        return self.answer(credentials)


def refuse(_: object) -> None:
    """Refuse everybody."""
    raise UnauthorizedLogin


def break_down(login: Login) -> None:
    """Fail as a careless checker might, with the password in the message."""
    raise RuntimeError(f"no such row: {login.password!r}")


class Door:
    """An authenticator with two clocks that the test sets."""

    def __init__(self, *checkers: object, key: TicketKey | None = None) -> None:
        self.now = 1_800_000_000.0
        self.ticks = 0.0
        self.credentials = Credentials(checkers=cast(Any, checkers), ticket_key=key)
        self.authenticator = Authenticator(
            self.credentials, wall_clock=lambda: self.now, monotonic=lambda: self.ticks
        )

    def begin(
        self,
        authorization: Iterable[bytes] = (),
        tickets: Iterable[str] = (),
        *,
        client: str = "192.0.2.1",
        target: Target | None = HERE,
    ) -> Deferred[Identity]:
        """Start to authenticate."""
        return Deferred.fromCoroutine(
            self.authenticator.check(
                authorization=list(authorization),
                tickets=[ticket.encode() for ticket in tickets],
                client=client,
                target=target,
            )
        )

    def ask(self, *args: Any, **kwargs: Any) -> str | GatewayError:
        """Authenticate, and return the subject or the error."""
        return outcome(self.begin(*args, **kwargs))

    def guess(self, times: int = 1, **kwargs: Any) -> list[type]:
        """Send wrong passwords, and return the types of the results."""
        return [type(self.ask(basic("me", "wrong"), **kwargs)) for _ in range(times)]

    def ticket(self, **values: Any) -> str:
        """Issue a ticket."""
        return KEY.issue(**{"now": self.now, "ttl_seconds": 60, **values})


def outcome(answer: Deferred[Identity]) -> str | GatewayError:
    """Return the subject or the error of an attempt."""
    results: list[Any] = []
    answer.addBoth(results.append)
    (result,) = results
    if isinstance(result, Failure):
        assert isinstance(result.value, GatewayError), result
        return result.value
    assert isinstance(result, Identity)
    return result.subject


def users() -> InMemoryUsernamePasswordDatabaseDontUse:
    """Make a checker with one user."""
    return InMemoryUsernamePasswordDatabaseDontUse(me=b"right")


def test_without_credentials_every_client_is_anonymous() -> None:
    """Whatever it sends."""
    door = Door()
    assert not door.credentials.required
    assert door.ask() == door.ask(basic("me", "x"), ["no ticket"]) == "anonymous"


def test_right_password_is_accepted() -> None:
    """The subject is the user."""
    door = Door(users())
    assert door.credentials.required
    assert door.ask(basic("me", "right")) == "me"
    for wrong in (basic("me", "Right"), basic("me", ""), basic("you", "right"), basic("me", "right ")):
        assert isinstance(door.ask(wrong, client=repr(wrong)), Unauthorized)


def test_password_file_is_used(tmp_path: Path) -> None:
    """As ``--auth file:PATH`` does; once the file is gone, everybody is refused."""
    path = tmp_path / "users"
    path.write_bytes("zoë:grün:x\n".encode())
    door = Door(FilePasswordDB(str(path)))
    assert door.ask(basic("zoë", "grün")) == "zo\\xeb"
    path.unlink()
    assert isinstance(door.ask(basic("zoë", "grün")), Unauthorized)


def test_first_checker_that_accepts_decides() -> None:
    """One that refuses, fails or returns no avatar ID neither blocks the others nor admits anybody."""
    others = [Checker(answer) for answer in (refuse, break_down, lambda _: None, lambda _: b"")]
    assert Door(*others, users()).ask(basic("me", "right")) == "me"
    assert isinstance(Door(*others).ask(basic("me", "right")), Unauthorized)
    assert [checker.asked for checker in others] == [[b"right", b"right"]] * 4


@pytest.mark.parametrize(
    ("avatar", "subject"),
    [
        (b"me", "me"),
        ("me", "me"),
        (ANONYMOUS, "anonymous"),
        (b"\xff\n\x1b[31m", "\\\\xff\\n\\x1b[31m"),
        ("m" * 100, "m" * 61 + "..."),
    ],
)
def test_subject_is_short_plain_text(avatar: object, subject: str) -> None:
    """No user name puts control characters or pages of text into the log."""
    assert Door(Checker(lambda _: avatar)).ask(basic("me", "x")) == subject


def test_checkers_must_take_passwords() -> None:
    """A checker that nobody could pass is refused at the start."""
    with pytest.raises(ValueError, match="AllowAnonymousAccess does not check users and passwords"):
        Door(AllowAnonymousAccess())


@pytest.mark.parametrize(
    "authorization",
    [
        basic("me", "right") * 2,
        [b""],
        [b"Basic"],
        [b"Basic "],
        [b"Bearer bWU6cmlnaHQ="],
        [b"bWU6cmlnaHQ="],
        [b" Basic bWU6cmlnaHQ="],
        [b"Basic bWU6cmlnaHQ= "],
        [b"Basic\tbWU6cmlnaHQ="],
        [b"Basic bWU6cmlnaHQ"],
        [b"Basic bWU6cmlnaHQ=="],
        [b"Basic bWU6cmlnaHR="],
        [b"Basic bWU6 cmlnaHQ="],
        [b"Basic bWU6cmlnaHQ=,"],
        [b"Basic bWU6cmlnaHQ=\n"],
        [b"Basic " + b64encode(b"me")],
        [b"Basic " + b64encode(b":right")],
        [b"Basic " + b64encode(b"me:right\n")],
        [b"Basic " + b64encode(b"m\0e:right")],
        [b"Basic " + b64encode(b"me:right\xc2\x85")],
        [b"Basic " + b64encode(b"m\xe9:right")],
        [b"Basic " + b64encode(b"me:" + b"x" * MAX_AUTHORIZATION_BYTES)],
    ],
)
def test_malformed_authorization_is_refused_unread(authorization: list[bytes]) -> None:
    """Checkers see only one well-formed Basic header."""
    checker = Checker(lambda _: b"me")
    error = Door(checker).ask(authorization)
    assert isinstance(error, Unauthorized)
    assert error.sentence.startswith("Authorization must be given once, as Basic")
    assert not checker.asked


def test_valid_ticket_is_accepted() -> None:
    """Its subject is the subject."""
    door = Door(key=KEY)
    assert door.ask([], [door.ticket(subject="Zoë\n")]) == "Zo\\xeb\\n"
    assert door.ask([], [door.ticket()]) == "ticket"


def test_client_without_credentials_is_refused() -> None:
    """The error names what is required, the challenge fits, and it does not count as a failure."""
    both = "this gateway requires a user and a password or a ticket"
    for door, sentence, challenge in (
        (Door(users()), "this gateway requires a user and a password", "Basic"),
        (Door(key=KEY), "this gateway requires a ticket", "Bearer"),
        (Door(users(), key=KEY), both, "Basic"),
    ):
        for _ in range(2 * FREE_FAILURES):
            error = door.ask()
            assert isinstance(error, Unauthorized)
            assert error.sentence == sentence
        assert door.authenticator.challenge.startswith(f'{challenge} realm="portofcall"')


def test_credentials_that_are_not_accepted_are_ignored() -> None:
    """A proxy's own Authorization does not disturb a ticket, nor a stray ticket a password."""
    door = Door(key=KEY)
    assert door.ask([b"Bearer of-the-proxy"], [door.ticket()]) == "ticket"
    assert isinstance(door.ask(basic("me", "right")), Unauthorized)
    assert Door(users()).ask(basic("me", "right"), ["stray"]) == "me"


def test_ticket_decides_if_there_are_both() -> None:
    """A browser adds a remembered password by itself; it does not make up for an invalid ticket."""
    door = Door(users(), key=KEY)
    assert door.ask(basic("me", "wrong"), [door.ticket(subject="you")]) == "you"
    assert isinstance(door.ask(basic("me", "right"), ["bad"]), Unauthorized)
    assert door.ask(basic("me", "right")) == "me"


@pytest.mark.parametrize("ticket", ["", "bad", "ü", "x" * 10_000])
def test_invalid_ticket_is_refused(ticket: str) -> None:
    """Empty, malformed, not ASCII, or long."""
    door = Door(key=KEY)
    assert isinstance(door.ask([], [ticket]), Unauthorized)


def test_two_tickets_are_refused() -> None:
    """It would be open which of them counts."""
    door = Door(key=KEY)
    error = door.ask([], [door.ticket(), door.ticket()])
    assert isinstance(error, Unauthorized)
    assert error.sentence == "ticket must be given once"


def test_single_use_ticket_is_good_for_one_connection() -> None:
    """Two requests at the same time get one tunnel."""
    door = Door(key=KEY)
    ticket = door.ticket(once=True)
    assert door.ask([], [ticket]) == "ticket"
    error = door.ask([], [ticket], client="192.0.2.2")
    assert isinstance(error, Unauthorized)
    assert error.sentence == "the ticket has been used"


def test_single_use_ticket_is_spent_only_if_accepted() -> None:
    """A request for another target, or for an invalid one, does not spend it."""
    door = Door(key=KEY)
    pinned = door.ticket(once=True, host=HERE.host, port=HERE.port)
    for target in (THERE, None):
        error = door.ask([], [pinned], target=target)
        assert isinstance(error, Unauthorized)
        assert error.sentence == "the ticket is for another target"
    assert door.ask([], [pinned]) == "ticket"
    free = door.ticket(once=True)
    assert door.ask([], [free], target=None) == "ticket"
    assert door.ask([], [free], target=THERE) == "ticket"
    assert isinstance(door.ask([], [free], target=THERE), Unauthorized)


def test_too_many_single_use_tickets_are_no_failure_of_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked to retry later."""
    monkeypatch.setattr("portofcall.access.authenticator.SingleUse", lambda: SingleUse(most=1))
    door = Door(key=KEY)
    assert door.ask([], [door.ticket(once=True)]) == "ticket"
    for _ in range(2 * FREE_FAILURES):
        error = door.ask([], [door.ticket(once=True)])
        assert isinstance(error, TooManyRequests)
        assert error.sentence == "too many tickets for single use are in use"


def test_guessing_gets_slower_and_slower() -> None:
    """The first few are free; then the wait doubles up to a minute, and no password is checked meanwhile."""
    checker = Checker(refuse)
    door = Door(checker)
    assert door.guess(FREE_FAILURES) == [Unauthorized] * FREE_FAILURES
    waits: list[int | None] = []
    for _ in range(9):
        error = door.ask(basic("me", "right"))
        assert isinstance(error, TooManyRequests)
        waits.append(error.retry_after_seconds)
        door.ticks += waits[-1] or 0
        assert door.guess() == [Unauthorized]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, LONGEST_WAIT_SECONDS]
    assert len(checker.asked) == FREE_FAILURES + 9


def test_retrying_too_early_does_not_prolong_the_wait() -> None:
    """An impatient program is accepted once the wait is over."""
    door = Door(users())
    door.guess(FREE_FAILURES)
    for _ in range(9):
        assert door.guess() == [TooManyRequests]
        door.ticks += 0.1
    door.ticks += 0.2
    assert door.ask(basic("me", "right")) == "me"


def test_success_resets_the_count() -> None:
    """An occasional typing error never slows a user down."""
    door = Door(users(), key=KEY)
    for _ in range(3):
        door.guess(FREE_FAILURES - 1)
        assert door.ask(basic("me", "right")) == "me"
        door.guess(FREE_FAILURES - 1)
        assert door.ask([], [door.ticket()]) == "ticket"


def test_old_failures_are_forgotten() -> None:
    """After a while without any."""
    door = Door(users())
    door.guess(FREE_FAILURES + 1)
    door.ticks += WINDOW_SECONDS
    assert door.guess(FREE_FAILURES) == [Unauthorized] * FREE_FAILURES


def test_failures_are_counted_per_client() -> None:
    """One client's do not slow another down."""
    door = Door(users())
    door.guess(FREE_FAILURES)
    assert door.guess() == [TooManyRequests]
    assert door.ask(basic("me", "right"), client="192.0.2.2") == "me"


def test_invalid_tickets_are_slowed_down_and_valid_ones_are_not() -> None:
    """Guessing behind an address does not lock out its ticket holders."""
    door = Door(users(), key=KEY)
    kinds = [type(door.ask([], ["bad"])) for _ in range(FREE_FAILURES + 2)]
    assert kinds == [Unauthorized] * FREE_FAILURES + [TooManyRequests] * 2
    assert isinstance(door.ask(basic("me", "right")), TooManyRequests)
    assert door.ask([], [door.ticket()]) == "ticket"


def test_burst_of_guesses_is_bounded() -> None:
    """While a slow checker is busy, the client's other passwords wait; afterwards they are not checked."""
    thinking: list[Deferred[bytes]] = []

    def think(_: Login) -> Deferred[bytes]:
        thinking.append(Deferred())
        return thinking[-1]

    door = Door(Checker(think))
    burst = [door.begin(basic("me", "wrong")) for _ in range(50)]
    other = door.begin(basic("me", "right"), client="192.0.2.2")
    assert len(thinking) < 10
    thinking.pop().callback(b"me")
    assert outcome(other) == "me"
    while thinking:
        thinking.pop(0).errback(UnauthorizedLogin())
    kinds = [type(outcome(attempt)) for attempt in burst]
    assert Unauthorized in kinds
    assert kinds.count(Unauthorized) < FREE_FAILURES + 5
    assert kinds.count(TooManyRequests) == 50 - kinds.count(Unauthorized)
    assert not door.authenticator._turns, "nothing is kept for a client without attempts"


def test_attempt_of_a_client_that_leaves_is_cancelled() -> None:
    """It counts as no failure, and does not block others."""
    gone: list[Deferred[bytes]] = []

    def think(_: Login) -> Deferred[bytes]:
        return Deferred(gone.append)

    door = Door(Checker(think), key=KEY)
    attempts = [door.begin(basic("me", "x")) for _ in range(20)]
    for attempt in attempts:
        attempt.cancel()
        attempt.addErrback(lambda failure: failure.trap(CancelledError))
    assert 0 < len(gone) <= len(attempts)
    assert not door.authenticator._turns
    assert len(door.authenticator._failures) == 0


def test_failing_checker_is_logged_and_refuses(logged: list[str]) -> None:
    """The log has its name and place; the client's error is the usual one."""
    door = Door(Checker(break_down))
    error = door.ask(basic("me", MARKER))
    assert isinstance(error, Unauthorized)
    assert error.sentence == "the user or the password is wrong"
    (line,) = logged
    assert "Checker could not check a password: RuntimeError at" in line
    assert "test_authenticator.py:" in line


def test_no_credential_is_disclosed(logged: list[str]) -> None:
    """Neither errors nor the log contain a password or a token, whatever the failure."""
    door = Door(Checker(refuse), Checker(break_down), users(), key=KEY)
    shown: list[str] = []
    good = door.ticket(subject="me", once=True)
    expired = KEY.issue(now=door.now - 100, ttl_seconds=60, subject=MARKER)
    attempts: list[tuple[list[bytes], list[str]]] = [
        (basic("me", MARKER), []),
        (basic(MARKER, MARKER), []),
        (basic("me", MARKER) * 2, []),
        ([f"Bearer {MARKER}".encode()], []),
        ([f"Basic {MARKER}".encode()], []),
        ([b"Basic " + b64encode(MARKER.encode())], []),
        ([], [MARKER]),
        ([], [f"{MARKER}.{MARKER}.{MARKER}"]),
        ([], [good[:-2]]),
        ([], [expired]),
        ([], [KEY.issue(now=door.now, ttl_seconds=60, subject=MARKER, host=f"{MARKER}.example")]),
        ([], [MARKER, good]),
    ]
    for number, (authorization, tickets) in enumerate(attempts * 7):
        result: list[Failure] = []
        door.begin(authorization, tickets, client=str(number % 12)).addErrback(result.append)
        (failure,) = result
        shown += [str(failure.value), repr(failure.value), failure.getTraceback(), failure.getErrorMessage()]
    shown += [*logged, repr(door.credentials), repr(KEY)]
    assert any("too many failed attempts" in text for text in shown)
    assert logged
    secrets = [MARKER, MARKER.lower(), b64encode(MARKER.encode()).decode()[:10], good[-20:-2], expired[-20:]]
    for text in shown:
        assert not any(secret in text for secret in secrets), text


def sessions(door: Door, **claims: Any) -> float | None:
    """Open with a ticket, and return how long the tunnel may live."""
    results: list[Identity] = []
    door.begin(tickets=[door.ticket(**claims)], target=HERE).addCallback(results.append)
    return results[0].session_seconds


def test_ticket_bounds_the_opening_and_not_the_tunnel() -> None:
    """Unless it has a session, which may be longer or shorter than its own life."""
    door = Door(key=KEY)
    assert sessions(door) is None
    assert sessions(door, session_seconds=3600) == 3600
    assert sessions(door, session_seconds=30) == 30


def test_exp_ends_the_tunnel_as_well_if_the_operator_says_so() -> None:
    """Whichever comes first."""
    door = Door(key=KEY)
    door.authenticator = Authenticator(
        Credentials(ticket_key=KEY, end_at_exp=True), wall_clock=lambda: door.now, monotonic=lambda: 0.0
    )
    assert sessions(door) == 60
    assert sessions(door, session_seconds=3600) == 60
    assert sessions(door, session_seconds=30) == 30


def test_ticket_whose_session_is_over_opens_nothing() -> None:
    """Although it has not expired."""
    door = Door(key=KEY)
    ticket = door.ticket(session_seconds=30)
    door.now += 31
    error = door.ask(tickets=[ticket], target=HERE)
    assert isinstance(error, Unauthorized)
    assert error.sentence == "the ticket's session is over"

"""A dial to a named target needs no rule, and shows nothing of where it goes."""

from pathlib import Path
from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from portofcall.egress.dial_trace import DialTrace
from portofcall.egress.dialer import Dialer
from portofcall.egress.named_target import Targets
from portofcall.errors import (
    Blocked,
    ConnectTimedOut,
    NameNotFound,
    NameTimedOut,
    Refused,
    TargetBusy,
    TargetError,
    UnknownTarget,
    Unreachable,
)
from portofcall.limits.values import Limits
from portofcall.target import Requested, Target, TargetName
from portofcall.testing import World
from tests.support import Outcome, make_dialer

#: What must be in no error about a named target.
SECRETS = ("10.9.", "secret", "/run", "64:ff9b", "169.254")


def world_of(*values: str, **options: Any) -> World:
    """Make a world with one target, ``db``, for each value in turn; names only."""
    return World(
        allow=(), targets=[f"db{index or ''}={value}" for index, value in enumerate(values)], **options
    )


class Dial(Outcome):
    """A dial under way, and its result."""

    def __init__(self, world: World, target: Requested | str = "db", *, dialer: Dialer | None = None) -> None:
        wanted = TargetName.parse(target) if isinstance(target, str) else target
        self.trace = DialTrace()
        dialer = dialer or make_dialer(world)
        super().__init__(dialer.dial(wanted, Protocol, client="192.0.2.1", trace=self.trace))

    @property
    def error(self) -> TargetError:
        """The error, which shows nothing but the name."""
        problem = super().error
        assert isinstance(problem, TargetError), problem
        assert not any(secret in problem.close_reason + problem.sentence for secret in SECRETS)
        return problem


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("10.9.0.5:5432", ("10.9.0.5", 5432)),
        ("127.0.0.1:25", ("127.0.0.1", 25)),
        ("[fd00::5]:22", ("fd00::5", 22)),
        ("secret.internal:22", ("10.9.0.7", 22)),
        ("secret:22", ("10.9.0.7", 22)),
        ("[64:ff9b::a09:5]:22", ("64:ff9b::a09:5", 22)),
    ],
)
def test_named_target_needs_no_rule(value: str, where: tuple[str, int]) -> None:
    """Whatever the address table and the tables of names have against it, on any port."""
    world = world_of(value, names={"secret.internal": ["10.9.0.7"], "secret": ["10.9.0.7"]})
    dial = Dial(world)
    assert world.dialed == [where]
    world.accept()
    assert str(dial.value.address) == where[0]


def test_host_and_port_are_refused_where_no_rule_allows_any() -> None:
    """Before a look-up, and without a word about rules; the target's own address is no exception."""
    world = world_of("10.9.0.5:5432", deny=["10.9.0.0/16"])
    for host in ("93.184.215.14", "example.com", "10.9.0.5"):
        dial = Dial(world, Target.parse(host, 5432))
        assert isinstance(dial.error, Blocked)
        assert dial.error.sentence == "this gateway has named targets only: ask with target=NAME"
    assert world.dialed == []
    assert world.resolver.asked == []


def test_rules_that_allow_go_with_named_targets() -> None:
    """Then both can be asked for."""
    world = World(allow=["public"], targets=["db=10.9.0.5:5432"])
    Dial(world)
    Dial(world, Target.parse("93.184.215.14", 22))
    assert world.dialed == [("10.9.0.5", 5432), ("93.184.215.14", 22)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("169.254.169.254:80", "169.254.169.254 is cloud metadata"),
        ("[64:ff9b::a9fe:a9fe]:80", "leads to 169.254.169.254, which is cloud metadata"),
        ("secret.example.com:80", "169.254.169.254 is cloud metadata"),
    ],
)
def test_metadata_addresses_stay_refused(value: str, reason: str) -> None:
    """In every form; the client learns that it is blocked, and the trace why, for the log."""
    world = world_of(value, names={"secret.example.com": ["10.9.0.1", "169.254.169.254"]})
    dial = Dial(world)
    assert isinstance(dial.error, Blocked)
    assert dial.error.sentence == "db is blocked by the policy of this gateway"
    assert world.dialed == []
    assert reason in dial.trace.rule


@pytest.mark.parametrize("deny", ["10.9.0.0/16", "10.9.0.5:5432", "*.internal"])
def test_deny_wins_here_too(deny: str) -> None:
    """A deny closes a place under every name."""
    world = world_of("secret.internal:5432", deny=[deny], names={"secret.internal": ["10.9.0.5"]})
    dial = Dial(world)
    assert isinstance(dial.error, Blocked)
    assert world.dialed == []
    assert dial.trace.rule == f'denied by rule "{deny}"'


def test_gateway_itself_stays_refused(tmp_path: Path) -> None:
    """By address, by name, and by any path to its UNIX socket."""
    socket, link = tmp_path / "socket", tmp_path / "link"
    socket.touch()
    link.symlink_to(socket)
    world = world_of(
        "10.9.0.5:8080", "secret.internal:8080", f"unix:{link}", names={"secret.internal": ["10.9.0.5"]}
    )
    world.gateway.loop_guard.add("10.9.0.5", 8080)
    world.gateway.loop_guard.add_path(str(socket))
    for name in ("db", "db1", "db2"):
        assert Dial(world, name).error.sentence == f"{name} is this gateway itself"
    assert world.dialed == []
    world.gateway.loop_guard.discard_path(str(socket))
    Dial(world, "db2")
    assert world.dialed == [(str(link), 0)]


def test_unix_socket_is_dialled_by_its_path() -> None:
    """Connecting is timed like a TCP handshake."""
    world = world_of("unix:/run/secret.sock")
    dial = Dial(world)
    assert world.dialed == [("/run/secret.sock", 0)]
    world.reactor.advance(0.25)
    world.accept()
    assert dial.value.rtt_ms == 250
    assert world.resolver.asked == []


def test_unknown_name_is_an_error_of_its_own() -> None:
    """Nothing is dialled or resolved, not even a host of that name."""
    world = world_of("10.9.0.5:5432")
    dial = Dial(world, "other.example.com")
    assert isinstance(dial.error, UnknownTarget)
    assert dial.error.close_reason == "unknown-target: there is no target other.example.com"
    assert world.dialed == []
    assert world.resolver.asked == []


def test_look_up_errors_show_the_name_only() -> None:
    """Not found, and not in time."""
    world = world_of("secret.internal:22", "secret2.internal:22", names={"secret2.internal": None})
    assert isinstance(Dial(world).error, NameNotFound)
    late = Dial(world, "db1")
    world.reactor.advance(world.limits.dns_timeout_seconds)
    assert isinstance(late.error, NameTimedOut)
    assert late.error.sentence.startswith("db1 was not resolved within")


@pytest.mark.parametrize("value", ["10.9.0.5:5432", "unix:/run/secret.sock"])
@pytest.mark.parametrize(
    ("problem", "kind", "sentence"),
    [
        (error.ConnectionRefusedError(111, "refused"), Refused, "db refused the connection"),
        (error.ConnectError(2, "No such file"), Unreachable, "db can't be reached (No such file)"),
        (error.ConnectError(), Unreachable, "db can't be reached (An error occurred while connecting)"),
        (
            error.ConnectError(string=Failure(error.ConnectionDone())),
            TargetBusy,
            "db accepts no more connections at",
        ),
    ],
)
def test_connection_errors_show_the_name_only(
    value: str, problem: Exception, kind: type[TargetError], sentence: str
) -> None:
    """The last is how Twisted reports the full backlog of a UNIX socket."""
    world = world_of(value)
    dial = Dial(world)
    world.refuse(problem)
    assert isinstance(dial.error, kind)
    assert dial.error.sentence.startswith(sentence)


def test_unix_socket_without_a_descriptor_left_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twisted raises the error at once then; the place is free again."""
    world = world_of("unix:/run/secret.sock", limits=Limits(max_per_target=1))
    dialer = make_dialer(world)

    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(world.reactor, "connectUNIX", fail)
    for _ in range(2):
        dial = Dial(world, dialer=dialer)
        assert isinstance(dial.error, Unreachable)
        assert dial.error.sentence == "db can't be reached (Too many open files)"


def test_target_that_does_not_answer_times_out_under_its_name() -> None:
    """And the attempt is given up."""
    world = world_of("10.9.0.5:5432")
    dial = Dial(world)
    world.reactor.advance(world.limits.connect_timeout_seconds)
    assert isinstance(dial.error, ConnectTimedOut)
    assert world.given_up == [("10.9.0.5", 5432)]


@pytest.mark.parametrize("limit", ["max_per_target", "max_per_client_target"])
def test_limits_count_the_place_whatever_its_name(limit: str) -> None:
    """Two names of one place, a TCP port or a UNIX socket, share its limit; errors show the name."""
    limits: Any = {limit: 1}
    world = world_of(
        "10.9.0.5:22", "secret.internal:22", "unix:/run/secret", "unix:/run/secret",
        limits=Limits(**limits), names={"secret.internal": ["10.9.0.5"]},
    )  # fmt: skip
    dialer = make_dialer(world)
    for first, second in (("db", "db1"), ("db2", "db3")):
        one = Dial(world, first, dialer=dialer)
        world.accept()
        busy = Dial(world, second, dialer=dialer)
        assert isinstance(busy.error, TargetBusy)
        assert second in busy.error.sentence
        one.value.lease.release()
        Dial(world, second, dialer=dialer)
        world.accept()
    assert world.dialed == [("10.9.0.5", 22)] * 2 + [("/run/secret", 0)] * 2


def test_named_and_written_targets_share_a_limit() -> None:
    """A name is no second way to a place that is full."""
    world = World(allow=["10.9.0.5"], targets=["db=10.9.0.5:22"], limits=Limits(max_per_target=1))
    dialer = make_dialer(world)
    Dial(world, dialer=dialer)
    other = Dial(world, Target.parse("10.9.0.5", 22), dialer=dialer)
    (failure,) = other.results
    assert isinstance(failure.value, TargetBusy)
    assert failure.value.sentence == "10.9.0.5:22 has too many connections"


def test_replaced_targets_count_from_the_next_dial() -> None:
    """A name that is gone is unknown, a new one is known."""
    world = world_of("10.9.0.5:22")
    dialer = make_dialer(world)
    dialer.targets = Targets.parse(["new=10.9.0.6:22"])
    assert isinstance(Dial(world, dialer=dialer).error, UnknownTarget)
    Dial(world, "new", dialer=dialer)
    assert world.dialed == [("10.9.0.6", 22)]

"""The attempts of one dial start one after the other; the first to connect wins, the others are given up."""

import errno
from collections import Counter
from ipaddress import ip_address
from typing import Any, cast

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, NoRouteError, TimeoutError
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from portofcall.egress.connector import ATTEMPT_DELAY_SECONDS, Race
from portofcall.errors import TargetBusy
from portofcall.limits.admission import Lease
from portofcall.testing import FakeTransport, World
from tests.support import Outcome

FIRST, SECOND, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Dial(Outcome):
    """A race under way.

    Attributes:
        leases: how many leases each address has now.
        taken: how many it has had.
    """

    def __init__(
        self,
        *addresses: str,
        judged: tuple[str, ...] | None = None,
        busy: tuple[str, ...] = (),
        open_at_once: tuple[str, ...] = (),
        build: type[Protocol] = Protocol,
    ) -> None:
        self.world = World()
        connect = self.world.reactor.connectTCP

        def connect_tcp(host: str, *args: Any, **options: Any) -> Any:
            connector = connect(host, *args, **options)
            if host in open_at_once:
                self.world.accept()
            return connector

        self.world.reactor.connectTCP = connect_tcp
        self.leases = Counter[str]()
        self.taken = Counter[str]()

        def enter(address: Any) -> Lease:
            where = str(address)
            if where in busy:
                raise TargetBusy(where)
            self.leases[where] += 1
            self.taken[where] += 1
            return Lease(lambda: self.leases.subtract([where]))

        race = Race(
            self.world.reactor,
            judged={ip_address(address) for address in judged or addresses},
            port=22,
            enter=enter,
            build=build,
            monotonic=self.world.reactor.seconds,
        )
        super().__init__(race.run([ip_address(address) for address in addresses], timeout_seconds=10))

    @property
    def dialled(self) -> list[str]:
        return [host for host, _ in self.world.dialed]

    @property
    def given_up(self) -> list[str]:
        return [host for host, _ in self.world.given_up]

    @property
    def winner(self) -> str:
        return str(self.value.address)


def test_address_that_was_not_judged_is_never_dialled() -> None:
    """Not even as the second one: the dial ends as a bug that it is, and the first attempt with it."""
    dial = Dial(FIRST, SECOND, judged=(FIRST,))
    dial.world.reactor.advance(ATTEMPT_DELAY_SECONDS)
    assert isinstance(dial.error, RuntimeError)
    assert str(dial.error) == f"{SECOND} was not judged"
    assert dial.dialled == dial.given_up == [FIRST]
    assert +dial.leases == Counter()


def test_next_attempt_starts_after_250_ms() -> None:
    """RFC 8305 section 5; the first goes on beside it."""
    dial = Dial(FIRST, SECOND, THIRD)
    dial.world.reactor.advance(0.249)
    assert dial.dialled == [FIRST]
    dial.world.reactor.advance(0.001)
    assert dial.dialled == [FIRST, SECOND]
    dial.world.reactor.advance(0.25)
    assert dial.dialled == [FIRST, SECOND, THIRD]
    assert dial.given_up == []
    (limit,) = dial.world.reactor.getDelayedCalls()
    assert limit.getTime() == 10


def test_next_attempt_starts_as_soon_as_one_fails() -> None:
    """And has 250 ms of its own."""
    dial = Dial(FIRST, SECOND, THIRD)
    dial.world.reactor.advance(0.2)
    dial.world.refuse(ConnectionRefusedError())
    assert dial.dialled == [FIRST, SECOND]
    dial.world.reactor.advance(0.2)
    assert dial.dialled == [FIRST, SECOND]
    dial.world.reactor.advance(0.05)
    assert dial.dialled == [FIRST, SECOND, THIRD]


def test_first_to_connect_wins_and_the_others_are_given_up() -> None:
    """The winner keeps its lease; each of the others gives its own back."""
    dial = Dial(FIRST, SECOND, THIRD)
    dial.world.reactor.pump([0.25, 0.25])
    dial.world.accept(1)
    assert dial.winner == SECOND
    assert dial.given_up == [FIRST, THIRD]
    assert +dial.leases == Counter([SECOND])
    assert dial.world.reactor.getDelayedCalls() == []


def test_connection_that_is_open_at_once_is_not_waited_for() -> None:
    """A reactor may connect before it returns: that is the winner, also beside an attempt that waits."""
    dial = Dial(FIRST, SECOND, THIRD, open_at_once=(SECOND,))
    dial.world.reactor.advance(ATTEMPT_DELAY_SECONDS)
    assert dial.winner == SECOND
    assert dial.dialled == [FIRST, SECOND]
    assert dial.given_up == [FIRST]
    assert dial.world.reactor.getDelayedCalls() == []


def test_address_that_is_only_listed_costs_nothing() -> None:
    """An attempt that never starts takes no lease, so a name can't use up the places of its addresses."""
    dial = Dial(FIRST, SECOND, THIRD)
    dial.world.accept()
    assert dial.winner == FIRST
    assert dial.taken == Counter([FIRST])


def test_dial_takes_as_many_places_as_attempts_run() -> None:
    """One at a time where each fails at once, so a name with many addresses is no way to fill its targets."""
    dial = Dial(FIRST, SECOND, THIRD)
    for running in (FIRST, SECOND, THIRD):
        assert +dial.leases == Counter([running])
        dial.world.refuse(ConnectionRefusedError())
    assert +dial.leases == Counter()
    dial = Dial(FIRST, SECOND, THIRD)
    for count in (1, 2, 3):
        assert dial.leases.total() == len(dial.dialled) == count
        dial.world.reactor.advance(0.25)


def test_busy_address_is_skipped() -> None:
    """It counts as a failed attempt: the next one starts at once."""
    dial = Dial(FIRST, SECOND, busy=(FIRST,))
    assert dial.dialled == [SECOND]
    dial.world.accept()
    assert dial.winner == SECOND


def test_all_busy_is_busy() -> None:
    """Nothing is dialled; the first address's error is the dial's."""
    dial = Dial(FIRST, SECOND, busy=(FIRST, SECOND))
    assert isinstance(dial.error, TargetBusy)
    assert str(dial.error) == FIRST
    assert dial.dialled == []


@pytest.mark.parametrize("busy", [FIRST, SECOND])
def test_network_error_is_reported_rather_than_busy(busy: str) -> None:
    """Waiting would help the busy address, but not the one that refuses."""
    dial = Dial(FIRST, SECOND, busy=(busy,))
    dial.world.refuse(ConnectionRefusedError())
    assert isinstance(dial.error, ConnectionRefusedError)


def test_last_error_is_reported_once_all_have_failed() -> None:
    """The preferred family may have no route at all; the error of the other one is worth more."""
    dial = Dial(FIRST, SECOND)
    dial.world.refuse(NoRouteError())
    assert dial.results == []
    dial.world.refuse(ConnectionRefusedError())
    assert isinstance(dial.error, ConnectionRefusedError)
    assert +dial.leases == Counter()


def test_cancelling_gives_all_attempts_up() -> None:
    """No connection, lease or timer is left."""
    dial = Dial(FIRST, SECOND, THIRD)
    dial.world.reactor.advance(0.25)
    dial.deferred.cancel()
    assert isinstance(dial.error, CancelledError)
    assert dial.given_up == [FIRST, SECOND]
    assert +dial.leases == Counter()
    assert dial.world.reactor.getDelayedCalls() == []


def test_two_connections_that_open_at_once_have_one_winner() -> None:
    """The second one is closed, although its protocol was built already."""
    dial = Dial(FIRST, SECOND)
    dial.world.reactor.advance(0.25)
    late = dial.world.reactor.tcpClients[1][2].buildProtocol(None)
    dial.world.accept(0)
    late.connectionMade()
    assert dial.winner == FIRST
    assert dial.given_up == [SECOND]
    assert +dial.leases == Counter([FIRST])


def test_connection_that_is_lost_before_its_protocol_is_ready_has_failed() -> None:
    """As with any failure, the next attempt starts at once."""
    dial = Dial(FIRST, SECOND)
    factory = dial.world.reactor.tcpClients[0][2]
    factory.buildProtocol(None)
    factory.clientConnectionLost(None, Failure(ConnectionLost()))
    assert dial.dialled == [FIRST, SECOND]
    assert +dial.leases == Counter([SECOND])


def test_connection_that_its_protocol_can_not_use_has_failed() -> None:
    """There was no descriptor left to watch its socket, for example: the next attempt starts at once."""

    class Unusable(Protocol):
        def connectionMade(self) -> None:
            raise OSError(errno.EMFILE, "no descriptors left")

    dial = Dial(FIRST, SECOND, build=Unusable)
    transport = FakeTransport()
    dial.world.reactor.tcpClients[0][2].buildProtocol(None).makeConnection(cast(Any, transport))
    assert transport.log == ["reset"]
    assert dial.dialled == [FIRST, SECOND]
    assert +dial.leases == Counter([SECOND])
    dial.world.reactor.tcpClients[0][2].clientConnectionLost(None, Failure(ConnectionLost()))
    assert +dial.leases == Counter([SECOND])


def test_end_of_the_connection_is_no_news() -> None:
    """The lease stays until its owner releases it."""
    dial = Dial(FIRST)
    dial.world.accept()
    dial.world.reactor.tcpClients[0][2].clientConnectionLost(None, Failure(ConnectionLost()))
    assert dial.winner == FIRST
    assert +dial.leases == Counter([FIRST])


def test_time_limit_is_one_for_all_attempts_together() -> None:
    """However many there are, and however late the last one starts."""
    dial = Dial(FIRST, SECOND)
    dial.world.reactor.pump([ATTEMPT_DELAY_SECONDS, 9.7])
    assert dial.results == []
    dial.world.reactor.advance(0.05)
    assert isinstance(dial.error, TimeoutError)
    assert dial.given_up == [FIRST, SECOND]
    assert +dial.leases == Counter()
    assert dial.world.reactor.getDelayedCalls() == []

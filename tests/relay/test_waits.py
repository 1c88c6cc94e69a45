"""What is expected of each end of a closing tunnel follows from the states, and has a time limit."""

import itertools

import pytest

from portofcall.limits.values import Limits
from portofcall.relay.states import End, Phase, phase
from portofcall.relay.waits import Patience, Wait, backend_wait, client_wait, patience

LIMITS = Limits(close_stall_seconds=30, linger_seconds=5, close_grace_seconds=20)
EVER = float("inf")
#: States that no backend is in.
_CLIENTS_ONLY = (End.LINGERING, End.V1_OPEN, End.V1_ENDED, End.V1_FINISHED, End.V1_CLOSED)


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (Wait.NOTHING, Patience(EVER, EVER)),
        (Wait.DELIVERY, Patience(30, EVER)),
        (Wait.ANSWER, Patience(5, 300)),
        (Wait.GRACE, Patience(5, 20)),
        (Wait.END, Patience(EVER, 5)),
    ],
)
def test_each_wait_has_its_limits(wait: Wait, expected: Patience) -> None:
    """Without progress, and in all."""
    assert patience(wait, LIMITS) == expected


def test_backend_may_be_silent_as_long_as_its_client_may_be_slow() -> None:
    """It is paused for so long."""
    assert patience(Wait.GRACE, LIMITS, client_pending=True) == Patience(30, 20)


@pytest.mark.parametrize("pending", [True, False])
@pytest.mark.parametrize("client_pending", [True, False])
def test_something_is_always_expected_while_a_tunnel_closes(pending: bool, client_pending: bool) -> None:
    """Unless an event is sure to come: the end of a dial, or that everything is acknowledged."""
    for client, backend in itertools.product(set(End) - {End.DIALING}, set(End) - {*_CLIENTS_ONLY}):
        if phase(client, backend) is not Phase.CLOSING:
            continue
        if client is End.GONE and client_pending:
            continue
        if client is End.V1_CLOSED and backend not in (End.ENDED, End.CLOSED):
            continue  # its backend has sent FIN
        of_client = client_wait(client, pending=client_pending, paused=False)
        of_backend = backend_wait(backend, client, pending=pending, client_pending=client_pending)
        certain = (
            backend is End.DIALING
            or (client is End.CLOSED and not client_pending)
            or (backend is End.CLOSED and not pending)
            # Its chain still has bytes for an end in these states, or it would have left them.
            or (client in (End.OPEN, End.ENDED) and not client_pending and backend is not End.FINISHED)
            or (backend in (End.OPEN, End.ENDED) and not pending)
        )
        assert certain or of_client != Wait.NOTHING or of_backend != Wait.NOTHING, (client, backend)


@pytest.mark.parametrize("state", [End.OPEN, End.ENDED, End.FINISHED, End.CLOSED, End.LINGERING])
def test_what_is_unacknowledged_comes_first(state: End) -> None:
    """Whatever else is expected of an end, it has to take what it was sent."""
    assert client_wait(state, pending=True, paused=False) is Wait.DELIVERY
    assert backend_wait(state, End.GONE, pending=True, client_pending=False) is Wait.DELIVERY


def test_paused_client_is_not_expected_to_answer() -> None:
    """Its answer could not be read, because its backend does not read."""
    assert client_wait(End.FINISHED, pending=False, paused=True) is Wait.NOTHING


@pytest.mark.parametrize("client", [End.OPEN, End.ENDED, End.FINISHED, End.CLOSED, End.LINGERING])
def test_backend_is_not_waited_for_while_its_client_is(client: End) -> None:
    """It may read nothing because the client reads nothing."""
    assert backend_wait(End.ENDED, client, pending=True, client_pending=True) is Wait.NOTHING
    assert backend_wait(End.ENDED, End.DROPPED, pending=True, client_pending=True) is Wait.DELIVERY

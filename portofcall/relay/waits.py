"""How long each end of a closing tunnel is waited for."""

from enum import Enum
from typing import NamedTuple

from portofcall.limits.values import Limits
from portofcall.relay.states import End

_EVER = float("inf")
#: A client that pings may be behind a proxy that acknowledges for it, and read slowly what that holds.
_SIGNS_OF_LIFE = 10


class Wait(Enum):
    """What is expected of an end."""

    NOTHING = "nothing: the other end has to move, or this one is gone"
    DELIVERY = "that it acknowledges what it was sent"
    ANSWER = "that it answers a Close frame, or closes its connection"
    GRACE = "that it sends the rest, and FIN, to a client that has sent a Close frame"
    END = "that its connection ends"


class Patience(NamedTuple):
    """How long that may take.

    Attributes:
        quiet_seconds: without any progress.
        total_seconds: in all.
    """

    quiet_seconds: float
    total_seconds: float


def client_wait(client: End, *, pending: bool, paused: bool) -> Wait:
    """Return what is expected of the client's end of a closing tunnel.

    Args:
        client: its state.
        pending: whether something that it is sent has not been acknowledged.
        paused: whether it is not read, because the backend does not read.
    """
    if client is End.GONE:
        return Wait.NOTHING
    if client is End.DROPPED:
        return Wait.END
    if pending:
        return Wait.DELIVERY
    return Wait.ANSWER if client in (End.FINISHED, End.LINGERING) and not paused else Wait.NOTHING


def backend_wait(backend: End, client: End, *, pending: bool, client_pending: bool) -> Wait:
    """Return what is expected of the backend's end of a closing tunnel.

    Args:
        backend: its state.
        client: that of the client's end.
        pending: whether something that it is sent has not been acknowledged.
        client_pending: the same for the client's end.
    """
    if backend in (End.DIALING, End.GONE):
        return Wait.NOTHING
    if backend is End.DROPPED:
        return Wait.END
    if pending:
        # A backend may read nothing because it waits for the client to read, and the client comes first.
        return Wait.NOTHING if client_pending and client is not End.DROPPED else Wait.DELIVERY
    if backend is End.FINISHED:
        return Wait.GRACE if client is End.ENDED else Wait.END
    return Wait.NOTHING


def patience(wait: Wait, limits: Limits, *, client_pending: bool = False) -> Patience:
    """Return how long a wait may take.

    Args:
        wait: for what.
        limits: the time limits.
        client_pending: whether the backend may be paused because the client reads slowly.
    """
    stall, linger = limits.close_stall_seconds, limits.linger_seconds
    match wait:
        case Wait.DELIVERY:
            return Patience(stall, _EVER)
        case Wait.ANSWER:
            return Patience(linger, _SIGNS_OF_LIFE * stall)
        case Wait.GRACE:
            return Patience(stall if client_pending else linger, limits.close_grace_seconds)
        case Wait.END:
            return Patience(_EVER, linger)
    return Patience(_EVER, _EVER)

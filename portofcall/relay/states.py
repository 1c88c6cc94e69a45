"""The states of a tunnel's two ends, what can happen to them, and what can be done about it.

Theory of operation
===================
A tunnel has two ends, the client's WebSocket and the backend's TCP connection, and each is in one of the
states of `End`. Both use the same states, as the protocols are alike here: one direction of an end is over
when it has sent its last (a Close frame, a FIN), the other when it has been sent ours.

    DIALING -> OPEN -> ENDED ----> CLOSED or LINGERING -> DROPPED -> GONE       it ended first
                 \\-> FINISHED -> CLOSED -> DROPPED -> GONE                     we ended first

The client of a tunnel with the subprotocol portofcall.v1 goes through the same before it comes to a Close
frame: its directions end one by one, each with eof. It is OPEN as soon as it is to get a Close frame.

    V1_OPEN -> V1_ENDED ----> V1_CLOSED -> OPEN -> ...                          the client sent eof first
        \\-> V1_FINISHED -> V1_CLOSED -> OPEN -> ...                             the backend sent FIN first

Any state may be left for DROPPED or GONE. Everything that can happen is an `Event`. What follows from it is
in the table of `portofcall.relay.transitions`. A tunnel has no other state, except for these two, which cause
events:

- Each direction is a `WriteChain`, which holds what is still to be handed to its end. ``*_HAS_ALL`` follows
  when nothing is left of what that end is to be sent.
- A tunnel is live while both ends are OPEN, or the backend still DIALING; with portofcall.v1 until both have
  sent their last. It is over when both are GONE. In between it is closing, and `portofcall.relay.waits` says
  how long each end is waited for. ``*_STUCK``, ``*_SILENT`` and GRACE_OVER follow when that is over,
  ``*_ACKNOWLEDGED`` when nothing is waited for.
"""

from enum import Enum
from functools import cache


class End(Enum):
    """What one end of a tunnel is in the middle of."""

    __hash__ = object.__hash__  # in C; Enum's own is in Python

    DIALING = "dialing"
    #: It speaks portofcall.v1, and both directions are open.
    V1_OPEN = "v1-open"
    #: It has sent eof, and may still be sent something.
    V1_ENDED = "v1-ended"
    #: It is sent the rest and eof, as the backend has sent FIN, and may still send something.
    V1_FINISHED = "v1-finished"
    #: Both; it gets Close 1000 once the backend has acknowledged what it was sent.
    V1_CLOSED = "v1-closed"
    OPEN = "open"
    #: It has sent its last, and may still be sent something.
    ENDED = "ended"
    #: It has been sent our last, and may still send something.
    FINISHED = "finished"
    #: Both; its connection is closed once it has acknowledged what it was sent.
    CLOSED = "closed"
    #: Both, and FIN was sent; its connection is left to end from its side.
    LINGERING = "lingering"
    #: Its connection is being closed or reset, and nothing more is expected of it.
    DROPPED = "dropped"
    GONE = "gone"


class Event(Enum):
    """What can happen to a tunnel; the values are those of docs/protocol.md."""

    __hash__ = object.__hash__  # in C; Enum's own is in Python

    DIALED = "the dial succeeds"
    DIAL_FAILED = "the dial fails"
    DIAL_CANCELLED = "the dial is cancelled"
    PAGE_CLOSED = "a page, or a client with `portofcall.v1`, sends a Close frame"
    PROGRAM_CLOSED = "any other client sends a Close frame"
    CLIENT_ENDED = "the client sends eof"
    CLIENT_FAILED = "the client breaks the protocol"
    CLIENT_LOST = "the client's connection ends"
    CLIENT_HAS_ALL = "all that was meant for the client has been sent"
    CLIENT_ACKNOWLEDGED = "the client has acknowledged everything"
    CLIENT_STUCK = "the client acknowledges nothing for too long, although something is queued for it"
    CLIENT_SILENT = "the client has everything, but does not answer a Close frame for 5 seconds"
    PING_TIMEOUT = "the client answers no ping for `--ping-timeout`, although it had nothing left to read"
    BACKEND_ENDED = "the backend sends FIN"
    BACKEND_CLOSED = "the backend closes the connection after FIN, without an error (TLS)"
    BACKEND_LOST = "the backend resets the connection"
    BACKEND_HAS_ALL = "all that was meant for the backend has been sent"
    BACKEND_ACKNOWLEDGED = "the backend has acknowledged everything"
    BACKEND_STUCK = "the backend acknowledges nothing for too long, although something is queued for it"
    BACKEND_SILENT = "the backend has everything, and is silent for 5 seconds"
    GRACE_OVER = "the backend is still sending 30 seconds (`--close-grace`) after it got FIN"
    EXPIRED = "the tunnel is idle for too long, its lifetime is over, or the operator or a new policy ends it"
    SHUT_DOWN = "the gateway shuts down"
    ABORTED = "the gateway is to end at once (a second SIGTERM or SIGINT)"
    BROKEN = "a write fails unexpectedly"


class Do(Enum):
    """What is done about it; the values are those of docs/protocol.md."""

    __hash__ = object.__hash__  # in C; Enum's own is in Python

    CONNECT = "bytes go both ways"
    REPLY = "it is answered at once"
    FINISH_BACKEND = "what the client sent before is delivered, then the backend gets FIN"
    SEND_FIN = "the backend gets FIN"
    DISCARD_FOR_BACKEND = "what is queued for the backend is discarded"
    DISCARD_FOR_CLIENT = "what is queued for the client is discarded"
    IGNORE_BACKEND = "what the backend still sends is read and discarded"
    PAUSE_BACKEND = "nothing more is read from the backend"
    CANCEL_DIAL = "a dial under way is cancelled"
    CANCEL_IDLE_DIAL = "a dial under way is cancelled if the client has sent nothing"
    CLOSE_BACKEND = "the backend's connection is closed"
    RESET_BACKEND = "the backend's connection is reset"
    END_CLIENT = "what the backend sent is delivered, then the client's Close frame is answered"
    END_CLIENT_EOF = "what the backend sent is delivered, then the client gets eof"
    END_CLIENT_1000 = "what the backend sent is delivered, then the client gets Close 1000"
    END_CLIENT_1001 = "what is queued for the client is delivered, then it gets Close 1001"
    END_CLIENT_EXPIRED = "what is queued for the client is delivered, then it gets Close 4403 or 4408 to 4410"
    END_CLIENT_1011 = "what the backend sent is passed on at once, with Close 1011 after it"
    END_CLIENT_CUT = "what is queued for the client is delivered, then it gets Close 1011"
    END_CLIENT_WITH_ERROR = "the client gets the Close code of the error"
    SEND_CLOSE = "the client gets its Close frame"
    FINISH_CLIENT = "the client gets FIN"
    CLOSE_CLIENT = "the client's connection is closed"
    RESET_CLIENT = "the client's connection is reset"
    RESET_BOTH = "both connections are reset"


class Phase(Enum):
    """The life of a tunnel, in order."""

    DIALING = "dialing"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


#: A client with portofcall.v1 whose tunnel is live.
V1_LIVE = (End.V1_OPEN, End.V1_ENDED, End.V1_FINISHED)


@cache
def phase(client: End, backend: End) -> Phase:
    """Return how far a tunnel is whose ends are in these states."""
    if client in V1_LIVE or (client is End.OPEN and backend in (End.DIALING, End.OPEN)):
        return Phase.DIALING if backend is End.DIALING else Phase.OPEN
    return Phase.CLOSED if client is backend is End.GONE else Phase.CLOSING


def ignore(event: Event) -> None:
    """Do nothing, in place of a tunnel that is over: what reports to it would keep it alive."""

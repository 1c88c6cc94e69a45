"""The states of a tunnel's two ends, and the table of how they change.

Theory of operation
===================
A tunnel has two ends, the client's WebSocket and the backend's TCP connection, and each is in one of the
states of `End`. Both use the same states, as the protocols are alike here: one direction of an end is over
when it has sent its last (a Close frame, a FIN), the other when it has been sent ours.

    DIALING -> OPEN -> ENDED ----> CLOSED or LINGERING -> DROPPED -> GONE       it ended first
                 \\-> FINISHED -> CLOSED -> DROPPED -> GONE                     we ended first

Any state may be left for DROPPED or GONE. Everything that can happen is an `Event`. Its row in `ROWS` says,
for the states that both ends are in, which states follow and what is done, in that order. A tunnel has no
other state, except for these two, which cause events:

- Each direction is a `WriteChain`, which holds what is still to be handed to its end. ``*_HAS_ALL`` follows
  when nothing is left of what that end is to be sent.
- A tunnel is live while both ends are OPEN, or the backend still DIALING; it is over when both are GONE; in
  between it is closing, and `portofcall.relay.waits` says how long each end is waited for. ``*_STUCK``,
  ``*_SILENT`` and GRACE_OVER follow when that is over, ``*_ACKNOWLEDGED`` when nothing is waited for.

Two rules keep the table short. The first row that matches counts, and an event without a row changes nothing,
as it comes too late. And an end that has no connection, because it is still DIALING or already GONE, stays as
it is, except that DIALED opens it, and that it is GONE once it is lost or could not be reached.

What is done may cause further events at once, before the rest of a row is done; they find the new states.
"""

from collections.abc import Collection
from enum import Enum
from functools import cache
from typing import NamedTuple


class End(Enum):
    """What one end of a tunnel is in the middle of."""

    __hash__ = object.__hash__  # in C; Enum's own is in Python

    DIALING = "dialing"
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
    PAGE_CLOSED = "a page sends a Close frame"
    PROGRAM_CLOSED = "any other client sends a Close frame"
    CLIENT_FAILED = "the client breaks the protocol"
    CLIENT_LOST = "the client's connection ends"
    CLIENT_HAS_ALL = "all that was meant for the client has been sent"
    CLIENT_ACKNOWLEDGED = "the client has acknowledged everything"
    CLIENT_STUCK = "the client acknowledges nothing for too long, although something is queued for it"
    CLIENT_SILENT = "the client has everything, but does not answer a Close frame for 5 seconds"
    PING_TIMEOUT = "the client answers no ping for `--ping-timeout`, although it had nothing left to read"
    BACKEND_ENDED = "the backend sends FIN"
    BACKEND_LOST = "the backend resets the connection"
    BACKEND_HAS_ALL = "all that was meant for the backend has been sent"
    BACKEND_ACKNOWLEDGED = "the backend has acknowledged everything"
    BACKEND_STUCK = "the backend acknowledges nothing for too long, although something is queued for it"
    BACKEND_SILENT = "the backend has everything, and is silent for 5 seconds"
    GRACE_OVER = "the backend is still sending 30 seconds (`--close-grace`) after it got FIN"
    EXPIRED = "the tunnel is idle for `--idle-timeout`, or its lifetime is over"
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
    END_CLIENT_1000 = "what the backend sent is delivered, then the client gets Close 1000"
    END_CLIENT_1001 = "what is queued for the client is delivered, then it gets Close 1001"
    END_CLIENT_EXPIRED = "what is queued for the client is delivered, then it gets Close 4408 or 4409"
    END_CLIENT_1011 = "what the backend sent is passed on at once, with Close 1011 after it"
    END_CLIENT_CUT = "what is queued for the client is delivered, then it gets Close 1011"
    END_CLIENT_WITH_ERROR = "the client gets the Close code of the error"
    SEND_CLOSE = "the client gets its Close frame"
    FINISH_CLIENT = "the client gets FIN"
    CLOSE_CLIENT = "the client's connection is closed"
    RESET_CLIENT = "the client's connection is reset"
    RESET_BOTH = "both connections are reset"


class Row(NamedTuple):
    """One transition.

    Attributes:
        event: what happens,
        client: while the client's end is in one of these states
        backend: and the backend's in one of these.
        client_after: the state that the client's end is in then; None if that does not change.
        backend_after: the same for the backend's.
        does: what is done, in this order.
    """

    event: Event
    client: Collection[End]
    backend: Collection[End]
    client_after: End | None
    backend_after: End | None
    does: tuple[Do, ...] = ()


_ANY = tuple(End)
_DIALING, _OPEN, _ENDED, _FINISHED = (End.DIALING,), (End.OPEN,), (End.ENDED,), (End.FINISHED,)
_CLOSED, _DROPPED = (End.CLOSED,), (End.DROPPED,)
_LIVE = (End.DIALING, End.OPEN)
_DIALED = tuple(end for end in End if end is not End.DIALING)
#: A client that has not sent its Close frame.
_TALKS = (End.OPEN, End.FINISHED)
#: A client that has not been sent its Close frame.
_HEARS = (End.OPEN, End.ENDED)
#: A backend that has not sent its FIN.
_SENDS = (End.OPEN, End.FINISHED)

# fmt: off
ROWS = (
    #   event                       client     backend    client after   backend after what is done
    Row(Event.DIALED,               _ANY,      _DIALING,  None,          End.OPEN,     (Do.CONNECT,)),
    Row(Event.DIAL_FAILED,          _ANY,      _DIALING,  None,          End.GONE,
        (Do.DISCARD_FOR_BACKEND, Do.END_CLIENT_WITH_ERROR)),
    Row(Event.DIAL_CANCELLED,       _ANY,      _DIALING,  None,          End.GONE,
        (Do.DISCARD_FOR_BACKEND,)),
    Row(Event.PAGE_CLOSED,          _OPEN,     _ANY,      End.LINGERING, None,
        (Do.REPLY, Do.IGNORE_BACKEND, Do.FINISH_CLIENT, Do.CANCEL_IDLE_DIAL, Do.FINISH_BACKEND)),
    Row(Event.PAGE_CLOSED,          _FINISHED, _ANY,      End.CLOSED,    None,         (Do.FINISH_BACKEND,)),
    Row(Event.PROGRAM_CLOSED,       _OPEN,     _ANY,      End.ENDED,     None,         (Do.FINISH_BACKEND,)),
    Row(Event.PROGRAM_CLOSED,       _FINISHED, _ANY,      End.CLOSED,    None,         (Do.FINISH_BACKEND,)),
    Row(Event.CLIENT_FAILED,        _TALKS,    _ANY,      End.LINGERING, End.DROPPED,
        (Do.DISCARD_FOR_CLIENT, Do.CANCEL_DIAL, Do.RESET_BACKEND)),
    Row(Event.CLIENT_LOST,          _TALKS,    _ANY,      End.GONE,      End.DROPPED,
        (Do.DISCARD_FOR_CLIENT, Do.CANCEL_DIAL, Do.RESET_BACKEND)),
    Row(Event.CLIENT_LOST,          _ANY,      _ANY,      End.GONE,      None,
        (Do.IGNORE_BACKEND, Do.CANCEL_IDLE_DIAL)),
    Row(Event.CLIENT_HAS_ALL,       _OPEN,     _ANY,      End.FINISHED,  None,         (Do.SEND_CLOSE,)),
    Row(Event.CLIENT_HAS_ALL,       _ENDED,    _ANY,      End.LINGERING, None,
        (Do.SEND_CLOSE, Do.FINISH_CLIENT)),
    Row(Event.CLIENT_ACKNOWLEDGED,  _CLOSED,   _ANY,      End.DROPPED,   None,         (Do.CLOSE_CLIENT,)),
    Row(Event.CLIENT_STUCK,         _TALKS,    _ANY,      End.DROPPED,   End.DROPPED,  (Do.RESET_BOTH,)),
    Row(Event.CLIENT_STUCK,         _ANY,      _ANY,      End.DROPPED,   None,
        (Do.RESET_CLIENT, Do.IGNORE_BACKEND)),
    Row(Event.CLIENT_SILENT,        _DROPPED,  _ANY,      None,          None,         (Do.RESET_CLIENT,)),
    Row(Event.CLIENT_SILENT,        _ANY,      _ANY,      End.DROPPED,   None,
        (Do.CLOSE_CLIENT, Do.FINISH_BACKEND)),
    Row(Event.PING_TIMEOUT,         _OPEN,     _LIVE,     None,          End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_CUT, Do.CANCEL_IDLE_DIAL, Do.FINISH_BACKEND)),
    Row(Event.BACKEND_ENDED,        _OPEN,     _OPEN,     None,          End.ENDED,    (Do.END_CLIENT_1000,)),
    Row(Event.BACKEND_ENDED,        _ENDED,    _OPEN,     None,          End.ENDED,    (Do.END_CLIENT,)),
    Row(Event.BACKEND_ENDED,        _ENDED,    _FINISHED, None,          End.CLOSED,   (Do.END_CLIENT,)),
    Row(Event.BACKEND_ENDED,        _ANY,      _OPEN,     None,          End.ENDED),
    Row(Event.BACKEND_ENDED,        _ANY,      _FINISHED, None,          End.CLOSED),
    Row(Event.BACKEND_HAS_ALL,      _ANY,      _OPEN,     None,          End.FINISHED, (Do.SEND_FIN,)),
    Row(Event.BACKEND_HAS_ALL,      _ANY,      _ENDED,    None,          End.CLOSED,   (Do.SEND_FIN,)),
    Row(Event.BACKEND_ACKNOWLEDGED, _ANY,      _CLOSED,   None,          End.DROPPED,  (Do.CLOSE_BACKEND,)),
    Row(Event.BACKEND_LOST,         _OPEN,     _OPEN,     End.FINISHED,  End.GONE,
        (Do.DISCARD_FOR_BACKEND, Do.END_CLIENT_1011)),
    Row(Event.BACKEND_LOST,         _ENDED,    _SENDS,    End.LINGERING, End.GONE,
        (Do.DISCARD_FOR_BACKEND, Do.END_CLIENT_1011, Do.FINISH_CLIENT)),
    Row(Event.BACKEND_LOST,         _ANY,      _DIALED,   None,          End.GONE,
        (Do.DISCARD_FOR_BACKEND,)),
    Row(Event.BACKEND_STUCK,        _HEARS,    _SENDS,    None,          End.DROPPED,
        (Do.RESET_BACKEND, Do.END_CLIENT_CUT)),
    Row(Event.BACKEND_STUCK,        _ANY,      _ANY,      None,          End.DROPPED,  (Do.RESET_BACKEND,)),
    Row(Event.BACKEND_SILENT,       _ENDED,    _FINISHED, None,          End.DROPPED,
        (Do.CLOSE_BACKEND, Do.END_CLIENT)),
    Row(Event.BACKEND_SILENT,       _ANY,      _FINISHED, None,          End.DROPPED,  (Do.CLOSE_BACKEND,)),
    Row(Event.BACKEND_SILENT,       _ANY,      _DROPPED,  None,          None,         (Do.RESET_BACKEND,)),
    Row(Event.GRACE_OVER,           _ENDED,    _FINISHED, None,          End.DROPPED,
        (Do.RESET_BACKEND, Do.END_CLIENT_CUT)),
    Row(Event.EXPIRED,              _OPEN,     _LIVE,     None,          End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_EXPIRED, Do.CANCEL_DIAL)),
    Row(Event.SHUT_DOWN,            _OPEN,     _LIVE,     None,          End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_1001, Do.CANCEL_DIAL)),
    Row(Event.ABORTED,              _ANY,      _ANY,      End.DROPPED,   End.DROPPED,  (Do.RESET_BOTH,)),
    Row(Event.BROKEN,               _ANY,      _ANY,      End.DROPPED,   End.DROPPED,  (Do.RESET_BOTH,)),
)
# fmt: on
_ROWS_OF = {event: tuple(row for row in ROWS if row.event is event) for event in Event}


def find(event: Event, client: End, backend: End) -> Row | None:
    """Return the row of an event while the ends are in these states; None if it changes nothing then."""
    for row in _ROWS_OF[event]:
        if client in row.client and backend in row.backend:
            return row
    return None


@cache
def step(event: Event, client: End, backend: End) -> tuple[End, End, tuple[Do, ...]]:
    """Return the states that follow on an event, of the client's and the backend's end, and what is done."""
    row = find(event, client, backend)
    if row is None:
        return client, backend, ()
    return _after(client, row.client_after), _after(backend, row.backend_after), row.does


def _after(before: End, after: End | None) -> End:
    if after is None:
        return before
    here = before not in (End.DIALING, End.GONE)
    return after if here or after in (End.OPEN, End.GONE) else before


class Phase(Enum):
    """The life of a tunnel, in order."""

    DIALING = "dialing"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


@cache
def phase(client: End, backend: End) -> Phase:
    """Return how far a tunnel is whose ends are in these states."""
    if client is End.OPEN and backend in (End.DIALING, End.OPEN):
        return Phase.OPEN if backend is End.OPEN else Phase.DIALING
    return Phase.CLOSED if client is backend is End.GONE else Phase.CLOSING

"""The table of how the states of a tunnel's two ends change; `portofcall.relay.states` explains them.

The row of an event says, for the states that both ends are in, which states follow and what is done, in that
order. These rules keep the table short:

- The first row that matches counts, and an event without a row changes nothing, as it comes too late.
- An end never goes back: a state that is listed earlier in `End` leaves it as it is.
- An end that is ENDED when it is to be FINISHED, or the other way round, is CLOSED. The same goes for
  V1_ENDED, V1_FINISHED and V1_CLOSED.
- An end that has no connection, because it is still DIALING or already GONE, stays as it is, except that
  DIALED opens it, and that it is GONE once it is lost or could not be reached.

What is done may cause further events at once, before the rest of a row is done; they find the new states.
"""

from collections.abc import Collection
from functools import cache
from typing import NamedTuple

from portofcall.relay.states import V1_LIVE, Do, End, Event


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
#: A client with portofcall.v1 that is to get no Close frame yet, and whose backend has sent FIN, or not.
_V1 = (*V1_LIVE, End.V1_CLOSED)
_V1_HEARD, _V1_HEARS = (End.V1_FINISHED, End.V1_CLOSED), (End.V1_OPEN, End.V1_ENDED)
#: A client that has not sent its Close frame or eof.
_TALKS = (End.V1_OPEN, End.V1_FINISHED, End.OPEN, End.FINISHED)
#: A client that has not been sent its Close frame.
_HEARS = (End.OPEN, End.ENDED)
#: A backend that has not sent its FIN.
_SENDS = (End.OPEN, End.FINISHED)

# fmt: off
ROWS = (
    #   event                       client     backend    client after     backend after  what is done
    Row(Event.DIALED,               _ANY,      _DIALING,  None,            End.OPEN,      (Do.CONNECT,)),
    Row(Event.DIAL_FAILED,          _ANY,      _DIALING,  End.OPEN,        End.GONE,
        (Do.DISCARD_FOR_BACKEND, Do.END_CLIENT_WITH_ERROR)),
    Row(Event.DIAL_CANCELLED,       _ANY,      _DIALING,  None,            End.GONE,
        (Do.DISCARD_FOR_BACKEND,)),
    Row(Event.PAGE_CLOSED,          (*_V1, End.OPEN), _ANY, End.LINGERING, None,
        (Do.REPLY, Do.IGNORE_BACKEND, Do.FINISH_CLIENT, Do.CANCEL_IDLE_DIAL, Do.FINISH_BACKEND)),
    Row(Event.PAGE_CLOSED,          _FINISHED, _ANY,      End.CLOSED,      None,
        (Do.FINISH_BACKEND,)),
    Row(Event.PROGRAM_CLOSED,       (End.OPEN, End.FINISHED), _ANY, End.ENDED, None,
        (Do.FINISH_BACKEND,)),
    Row(Event.CLIENT_ENDED,         _TALKS,    _ANY,      End.V1_ENDED,    None,
        (Do.FINISH_BACKEND,)),
    Row(Event.CLIENT_FAILED,        (*_V1, End.OPEN, End.FINISHED), _ANY, End.LINGERING, End.DROPPED,
        (Do.DISCARD_FOR_CLIENT, Do.CANCEL_DIAL, Do.RESET_BACKEND)),
    Row(Event.CLIENT_LOST,          _TALKS,    _ANY,      End.GONE,        End.DROPPED,
        (Do.DISCARD_FOR_CLIENT, Do.CANCEL_DIAL, Do.RESET_BACKEND)),
    Row(Event.CLIENT_LOST,          _ANY,      _ANY,      End.GONE,        None,
        (Do.IGNORE_BACKEND, Do.CANCEL_IDLE_DIAL)),
    Row(Event.CLIENT_HAS_ALL,       _OPEN,     _ANY,      End.FINISHED,    None,          (Do.SEND_CLOSE,)),
    Row(Event.CLIENT_HAS_ALL,       _ENDED,    _ANY,      End.LINGERING,   None,
        (Do.SEND_CLOSE, Do.FINISH_CLIENT)),
    Row(Event.CLIENT_ACKNOWLEDGED,  _CLOSED,   _ANY,      End.DROPPED,     None,          (Do.CLOSE_CLIENT,)),
    Row(Event.CLIENT_STUCK,         _TALKS,    _ANY,      End.DROPPED,     End.DROPPED,   (Do.RESET_BOTH,)),
    Row(Event.CLIENT_STUCK,         _ANY,      _ANY,      End.DROPPED,     None,
        (Do.RESET_CLIENT, Do.IGNORE_BACKEND)),
    Row(Event.CLIENT_SILENT,        _DROPPED,  _ANY,      None,            None,          (Do.RESET_CLIENT,)),
    Row(Event.CLIENT_SILENT,        _ANY,      _ANY,      End.DROPPED,     None,
        (Do.CLOSE_CLIENT, Do.FINISH_BACKEND)),
    Row(Event.PING_TIMEOUT,         V1_LIVE,   _ANY,      End.OPEN,        End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_CUT, Do.CANCEL_IDLE_DIAL, Do.FINISH_BACKEND)),
    Row(Event.PING_TIMEOUT,         _OPEN,     _LIVE,     None,            End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_CUT, Do.CANCEL_IDLE_DIAL, Do.FINISH_BACKEND)),
    Row(Event.BACKEND_ENDED,        _V1_HEARS, _SENDS,    End.V1_FINISHED, End.ENDED,
        (Do.END_CLIENT_EOF,)),
    Row(Event.BACKEND_ENDED,        _OPEN,     _OPEN,     None,            End.ENDED,
        (Do.END_CLIENT_1000,)),
    Row(Event.BACKEND_ENDED,        _ENDED,    _SENDS,    None,            End.ENDED,     (Do.END_CLIENT,)),
    Row(Event.BACKEND_ENDED,        _ANY,      _SENDS,    None,            End.ENDED),
    Row(Event.BACKEND_HAS_ALL,      _ANY,      (End.OPEN, End.ENDED), None, End.FINISHED, (Do.SEND_FIN,)),
    Row(Event.BACKEND_ACKNOWLEDGED, (End.V1_CLOSED,), _CLOSED, End.OPEN,   End.DROPPED,
        (Do.CLOSE_BACKEND, Do.END_CLIENT_1000)),
    Row(Event.BACKEND_ACKNOWLEDGED, _ANY,      _CLOSED,   None,            End.DROPPED,
        (Do.CLOSE_BACKEND,)),
    Row(Event.BACKEND_CLOSED,       (End.V1_FINISHED,), _ENDED, End.OPEN,  End.GONE,
        (Do.DISCARD_FOR_BACKEND, Do.END_CLIENT_1000)),
    Row(Event.BACKEND_CLOSED,       (End.V1_CLOSED,), _CLOSED, End.OPEN,   End.GONE,
        (Do.END_CLIENT_1000,)),
    Row(Event.BACKEND_LOST,         (*_V1_HEARS, End.OPEN), _SENDS, End.FINISHED, End.GONE,
        (Do.DISCARD_FOR_BACKEND, Do.END_CLIENT_1011)),
    Row(Event.BACKEND_LOST,         _ENDED,    _SENDS,    End.LINGERING,   End.GONE,
        (Do.DISCARD_FOR_BACKEND, Do.END_CLIENT_1011, Do.FINISH_CLIENT)),
    Row(Event.BACKEND_LOST,         _V1_HEARD, _DIALED,   End.OPEN,        End.GONE,
        (Do.DISCARD_FOR_BACKEND, Do.END_CLIENT_CUT)),
    Row(Event.BACKEND_LOST,         _ANY,      _DIALED,   None,            End.GONE,
        (Do.DISCARD_FOR_BACKEND,)),
    Row(Event.BACKEND_STUCK,        _V1,       _ANY,      End.OPEN,        End.DROPPED,
        (Do.RESET_BACKEND, Do.END_CLIENT_CUT)),
    Row(Event.BACKEND_STUCK,        _HEARS,    _SENDS,    None,            End.DROPPED,
        (Do.RESET_BACKEND, Do.END_CLIENT_CUT)),
    Row(Event.BACKEND_STUCK,        _ANY,      _ANY,      None,            End.DROPPED,
        (Do.RESET_BACKEND,)),
    Row(Event.BACKEND_SILENT,       _ENDED,    _FINISHED, None,            End.DROPPED,
        (Do.CLOSE_BACKEND, Do.END_CLIENT)),
    Row(Event.BACKEND_SILENT,       _ANY,      _FINISHED, None,            End.DROPPED,
        (Do.CLOSE_BACKEND,)),
    Row(Event.BACKEND_SILENT,       _ANY,      _DROPPED,  None,            None,
        (Do.RESET_BACKEND,)),
    Row(Event.GRACE_OVER,           _ENDED,    _FINISHED, None,            End.DROPPED,
        (Do.RESET_BACKEND, Do.END_CLIENT_CUT)),
    Row(Event.EXPIRED,              V1_LIVE,   _ANY,      End.OPEN,        End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_EXPIRED, Do.CANCEL_DIAL)),
    Row(Event.EXPIRED,              _OPEN,     _LIVE,     None,            End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_EXPIRED, Do.CANCEL_DIAL)),
    Row(Event.SHUT_DOWN,            V1_LIVE,   _ANY,      End.OPEN,        End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_1001, Do.CANCEL_DIAL)),
    Row(Event.SHUT_DOWN,            _OPEN,     _LIVE,     None,            End.ENDED,
        (Do.PAUSE_BACKEND, Do.END_CLIENT_1001, Do.CANCEL_DIAL)),
    Row(Event.ABORTED,              _ANY,      _ANY,      End.DROPPED,     End.DROPPED,   (Do.RESET_BOTH,)),
    Row(Event.BROKEN,               _ANY,      _ANY,      End.DROPPED,     End.DROPPED,   (Do.RESET_BOTH,)),
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


_ORDER = {end: place for place, end in enumerate(End)}
_BOTH = {
    (End.ENDED, End.FINISHED): End.CLOSED,
    (End.FINISHED, End.ENDED): End.CLOSED,
    (End.V1_ENDED, End.V1_FINISHED): End.V1_CLOSED,
    (End.V1_FINISHED, End.V1_ENDED): End.V1_CLOSED,
}


def _after(before: End, after: End | None) -> End:
    if after is None or before is End.GONE:
        return before
    if before is End.DIALING:
        return after if after in (End.OPEN, End.GONE) else before
    return _BOTH.get((before, after), max(before, after, key=_ORDER.__getitem__))

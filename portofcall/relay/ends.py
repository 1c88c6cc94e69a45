"""The two ends of a tunnel with the chains between them, and what can be done to them."""

from collections.abc import Callable

from twisted.internet.defer import Deferred

from portofcall.events import Traffic
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.delivery import Progress
from portofcall.relay.interfaces import IClientEnd
from portofcall.relay.states import Do, End
from portofcall.relay.write_chain import WriteChain


class CloseCode:
    """Codes of Close frames that do not come from a `TargetError` (RFC 6455 §7.4.1, §7.4.2)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    INTERNAL_ERROR = 1011
    IDLE_TIMEOUT = 4408
    LIFETIME_OVER = 4409
    ENDED_BY_OPERATOR = 4410


#: Code and reason of a Close frame.
LastWord = tuple[int, str]

ENDED_BY_OPERATOR = (
    CloseCode.ENDED_BY_OPERATOR,
    "ended-by-operator: the operator of the gateway ended the tunnel",
)
SHUTTING_DOWN = (CloseCode.GOING_AWAY, "the gateway is shutting down")
BACKEND_RESET = (CloseCode.INTERNAL_ERROR, "backend-reset: the backend reset the connection")


class Ends:
    """Carries out what the table of `portofcall.relay.states` says; decides nothing.

    Args:
        client: the client's end, open.
        high_water_bytes: of both chains.
        monotonic: a clock in seconds that never jumps, for both chains.

    Attributes:
        client: the client's end.
        client_state: its state.
        backend: the backend's end, once it has been dialled.
        backend_state: its state.
        dialing: the dial, once it has begun.
        to_client: the chain of writes from backend to client.
        to_backend: the chain of writes from client to backend.
        last_word: the Close frame that the client gets once it has all; None repeats its own.
        cut: the same, if the backend was not heard to the end, or a time limit of the tunnel ended it.
    """

    __slots__ = (
        "backend", "backend_state", "client", "client_state", "cut", "dialing", "last_word",
        "to_backend", "to_client",
    )  # fmt: skip

    def __init__(self, client: IClientEnd, *, high_water_bytes: int, monotonic: Callable[[], float]) -> None:
        self.client = client
        self.client_state = End.V1_OPEN if client.half_closes else End.OPEN
        self.backend: BackendEnd | None = None
        self.backend_state = End.DIALING
        self.dialing: Deferred[BackendEnd] | None = None
        self.last_word: LastWord | None = None
        self.cut = BACKEND_RESET
        self.to_backend = WriteChain(high_water_bytes=high_water_bytes, monotonic=monotonic)
        self.to_backend.registerProducer(client, True)
        # Resuming the backend when nothing more goes to the client would read data only to discard it.
        self.to_client = WriteChain(
            high_water_bytes=high_water_bytes, monotonic=monotonic, leaves_paused=True, sink=client
        )

    def carry_out(self, do: Do) -> None:
        """Do one thing of the table, with the states already changed to those that follow."""
        _ACTIONS[do](self)

    @property
    def client_pending(self) -> bool:
        """Whether the client has not acknowledged all payload that it is sent."""
        if self.to_client.draining or self.to_client.waiting_bytes:
            return True
        return self.client_state is not End.GONE and self.client.unacknowledged_bytes > 0

    @property
    def backend_pending(self) -> bool:
        """Whether the backend has not acknowledged everything that it is sent."""
        if self.to_backend.draining or self.to_backend.waiting_bytes:
            return True
        return self._connected and self._dialed.unacknowledged_bytes > 0

    @property
    def client_progress(self) -> Progress:
        """What the client has done so far."""
        return Progress() if self.client_state is End.GONE else self.client.progress

    @property
    def backend_progress(self) -> Progress:
        """What the backend has done so far."""
        return self._dialed.progress if self._connected else Progress()

    def backend_has_failed(self) -> bool:
        """Return whether a backend was reset that has sent FIN, so that it is not read any more.

        Its end then reports this later.
        """
        after_fin = self._connected and self.client_state in (End.V1_FINISHED, End.V1_CLOSED)
        if after_fin and self._dialed.failed:
            self._dialed.abort()
            return True
        return False

    @property
    def traffic(self) -> Traffic:
        """What was carried so far."""
        up, down, backend = self.to_backend, self.to_client, self.backend
        lost_up = 0 if backend is None else min(backend.unacknowledged_bytes, up.passed_bytes)
        lost_down = min(self.client.unacknowledged_bytes, down.passed_bytes)
        return Traffic(
            up_bytes=up.passed_bytes - lost_up,
            down_bytes=down.passed_bytes - lost_down,
            undelivered_bytes=up.dropped_bytes + down.dropped_bytes + lost_up + lost_down,
            undelivered_is_exact=not lost_down
            and (not lost_up or (backend is not None and backend.is_exact)),
            up_pauses=up.pauses,
            down_pauses=down.pauses,
            up_paused_seconds=up.paused_seconds,
            down_paused_seconds=down.paused_seconds,
        )

    @property
    def _connected(self) -> bool:
        return self.backend is not None and self.backend_state is not End.GONE

    @property
    def _dialed(self) -> BackendEnd:
        assert self.backend is not None
        return self.backend

    def _connect(self) -> None:
        self.to_client.registerProducer(self._dialed.transport, True)
        self.to_backend.open(self._dialed.transport)

    def _ignore_backend(self) -> None:
        """Discard what the backend sends. While it still has to read something, sending must not block it."""
        self.to_client.abandon()
        if self.backend_pending and self._connected:
            self._dialed.transport.resumeProducing()

    def _cancel_dial(self) -> None:
        if self.dialing is not None and self.backend_state is End.DIALING:
            self.dialing.cancel()

    def _cancel_idle_dial(self) -> None:
        if not self.to_backend.waiting_bytes:
            self._cancel_dial()

    def _send_fin(self) -> None:
        # Only the first call on a socket that was reset gets the error: it must not be that of the FIN.
        if not self.backend_has_failed():
            self._dialed.finish()

    def _pause_backend(self) -> None:
        if self._connected:
            self._dialed.transport.pauseProducing()

    def _reset_backend(self) -> None:
        self.to_backend.abandon()
        if self._connected:
            self._dialed.abort()

    def _end_client_with_eof(self) -> None:
        self.to_client.follow_with(self.client.send_eof)

    def _end_client(self, last_word: LastWord | None) -> None:
        self.last_word = last_word
        self.to_client.finish()

    def _end_client_now(self) -> None:
        self.to_client.flush()
        self.client.close(*BACKEND_RESET)
        self.to_client.finish()

    def _send_close(self) -> None:
        if self.last_word is None:
            self.client.reply()
        else:
            self.client.close(*self.last_word)

    def _reset_client(self) -> None:
        self.to_client.abandon()
        if self.client_state is not End.GONE:
            self.client.abort()

    def _reset_both(self) -> None:
        self._cancel_dial()
        self._reset_client()
        self._reset_backend()


_ACTIONS: dict[Do, Callable[[Ends], None]] = {
    Do.CONNECT: Ends._connect,
    Do.REPLY: lambda ends: ends.client.reply(),
    Do.FINISH_BACKEND: lambda ends: ends.to_backend.finish(),
    Do.SEND_FIN: Ends._send_fin,
    Do.DISCARD_FOR_BACKEND: lambda ends: ends.to_backend.abandon(),
    Do.DISCARD_FOR_CLIENT: lambda ends: ends.to_client.abandon(),
    Do.IGNORE_BACKEND: Ends._ignore_backend,
    Do.PAUSE_BACKEND: Ends._pause_backend,
    Do.CANCEL_DIAL: Ends._cancel_dial,
    Do.CANCEL_IDLE_DIAL: Ends._cancel_idle_dial,
    Do.CLOSE_BACKEND: lambda ends: ends._dialed.drop(),
    Do.RESET_BACKEND: Ends._reset_backend,
    Do.END_CLIENT: lambda ends: ends._end_client(None),
    Do.END_CLIENT_EOF: Ends._end_client_with_eof,
    Do.END_CLIENT_1000: lambda ends: ends._end_client((CloseCode.NORMAL, "")),
    Do.END_CLIENT_1001: lambda ends: ends._end_client(SHUTTING_DOWN),
    Do.END_CLIENT_EXPIRED: lambda ends: ends._end_client(ends.cut),
    Do.END_CLIENT_1011: Ends._end_client_now,
    Do.END_CLIENT_CUT: lambda ends: ends._end_client(ends.cut),
    Do.END_CLIENT_WITH_ERROR: lambda ends: ends.to_client.finish(),
    Do.SEND_CLOSE: Ends._send_close,
    Do.FINISH_CLIENT: lambda ends: ends.client.finish(),
    Do.CLOSE_CLIENT: lambda ends: ends.client.drop(),
    Do.RESET_CLIENT: Ends._reset_client,
    Do.RESET_BOTH: Ends._reset_both,
}

"""The two ends of a tunnel with the chains between them, and what can be done to them."""

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.interfaces import IClientEnd
from portofcall.relay.states import Do, End
from portofcall.relay.write_chain import WriteChain


class CloseCode:
    """Codes of Close frames that do not come from a `TargetError` (RFC 6455 §7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    INTERNAL_ERROR = 1011


class Ends:
    """Carries out what the table of `portofcall.relay.states` says; decides nothing.

    Args:
        client: the client's end, open.
        high_water_bytes: of both chains.

    Attributes:
        client: the client's end.
        client_state: its state.
        backend: the backend's end, once it has been dialled.
        backend_state: its state.
        dialing: the dial, once it has begun.
        to_client: the chain of writes from backend to client.
        to_backend: the chain of writes from client to backend.
        last_word: code and reason of the Close frame that the client gets once it has all.
    """

    def __init__(self, client: IClientEnd, *, high_water_bytes: int) -> None:
        self.client = client
        self.client_state = End.OPEN
        self.backend: BackendEnd | None = None
        self.backend_state = End.DIALING
        self.dialing: Deferred[BackendEnd] | None = None
        self.last_word = (CloseCode.NORMAL, "")
        self.to_backend = WriteChain(high_water_bytes=high_water_bytes)
        self.to_backend.registerProducer(client, True)
        self.to_client = WriteChain(high_water_bytes=high_water_bytes)
        self.to_client.open(client)

    def carry_out(self, do: Do) -> None:
        """Do one thing of the table, with the states already changed to those that follow."""
        _ACTIONS[do](self)

    @property
    def _opened(self) -> BackendEnd:
        assert self.backend is not None
        return self.backend

    def _there(self) -> Iterator[IClientEnd | BackendEnd]:
        """Yield the ends that have a connection."""
        if self.client_state is not End.GONE:
            yield self.client
        if self.backend is not None and self.backend_state is not End.GONE:
            yield self.backend

    def _connect(self) -> None:
        self.to_client.registerProducer(self._opened.transport, True)
        self.to_backend.open(self._opened.transport)

    def _cancel_dial(self) -> None:
        if self.dialing is not None and self.backend_state is End.DIALING:
            self.dialing.cancel()

    def _cancel_idle_dial(self) -> None:
        if not self.to_backend.waiting_bytes:
            self._cancel_dial()

    def _pause_backend(self) -> None:
        if self.backend is not None:
            self.backend.transport.pauseProducing()

    def _end_client(self, code: int, reason: str = "") -> None:
        self.last_word = (code, reason)
        self.to_client.finish()

    def _end_client_now(self) -> None:
        self.to_client.flush()
        self.client.close(CloseCode.INTERNAL_ERROR, "backend-reset: the backend reset the connection")
        self.to_client.finish()

    def _abandon(self) -> None:
        self.to_client.abandon()
        self.to_backend.abandon()

    def _close_both(self) -> None:
        self._abandon()
        for end in self._there():
            end.drop()

    def _reset_backend(self) -> None:
        self._abandon()
        if self.backend_state is End.DROPPED:
            self._opened.abort()

    def _reset_both(self) -> None:
        self._abandon()
        self._cancel_dial()
        for end in self._there():
            end.abort()


_ACTIONS: dict[Do, Callable[[Ends], None]] = {
    Do.CONNECT: Ends._connect,
    Do.FINISH_BACKEND: lambda ends: ends.to_backend.finish(),
    Do.SEND_FIN: lambda ends: ends._opened.finish(),
    Do.DISCARD_FOR_BACKEND: lambda ends: ends.to_backend.abandon(),
    Do.DISCARD_FOR_CLIENT: lambda ends: ends.to_client.abandon(),
    Do.CANCEL_DIAL: Ends._cancel_dial,
    Do.CANCEL_IDLE_DIAL: Ends._cancel_idle_dial,
    Do.PAUSE_BACKEND: Ends._pause_backend,
    Do.CLOSE_BACKEND: lambda ends: ends._opened.drop(),
    Do.RESET_BACKEND: Ends._reset_backend,
    Do.END_CLIENT_1000: lambda ends: ends._end_client(CloseCode.NORMAL),
    Do.END_CLIENT_1001: lambda ends: ends._end_client(CloseCode.GOING_AWAY, "the gateway is shutting down"),
    Do.END_CLIENT_1011: Ends._end_client_now,
    Do.END_CLIENT_WITH_ERROR: lambda ends: ends.to_client.finish(),
    Do.SEND_CLOSE: lambda ends: ends.client.close(*ends.last_word),
    Do.CLOSE_BOTH: Ends._close_both,
    Do.RESET_BOTH: Ends._reset_both,
}

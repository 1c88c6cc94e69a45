"""A tunnel: one WebSocket client and one TCP backend, and everything that both have to agree on."""

from collections.abc import Callable
from enum import Enum
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from portofcall.errors import TargetError
from portofcall.limits.values import Limits
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.interfaces import Buffer, IClientEnd
from portofcall.relay.stall_timer import StallTimer
from portofcall.relay.write_chain import WriteChain


class CloseCode:
    """Codes of Close frames that do not come from a `TargetError` (RFC 6455 §7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    INTERNAL_ERROR = 1011


class State(Enum):
    """The life of a tunnel, in order."""

    DIALING = "dialing"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Tunnel:
    """Owns one pair of ends: the ends report events, the tunnel decides, the ends obey.

    How a tunnel ends:

    - The client sends a Close frame: what it sent before is delivered (the dial is waited for, if need be),
      then the backend gets FIN. What the backend still sends is read and dropped, so that it can't block.
    - The backend sends FIN: what it sent before is delivered, then the client gets Close 1000. What the
      client sends until it answers that still goes to the backend.
    - The backend resets the connection: what arrived before goes out at once, and Close 1011 after it.
    - The client is gone without a Close frame, or breaks the protocol: the backend's connection is reset.
    - The dial fails: Close with the code and reason of the `TargetError`.

    A closing tunnel is given up when it has moved nothing for ``stall_seconds``; a backend that was sent FIN
    has ``linger_seconds`` to answer it. Only what is stuck is reset: what was written already still goes out.

    It knows neither Autobahn, nor HTTP, nor who may go where.

    Args:
        client: the client's end, open.
        limits: the high-water mark, and the patience with ends that do not close.
        clock: for that patience.
        on_closed: called once, with this tunnel, when both ends are gone.

    Attributes:
        client_sent: the client's end reports what the client sent.
        backend_sent: the backend's end reports what the backend sent.
        to_backend: the chain of writes from client to backend.
        to_client: the chain of writes from backend to client.
        outcome: why the tunnel ended, in a few words.
    """

    _log = Logger()

    def __init__(
        self,
        client: IClientEnd,
        *,
        limits: Limits,
        clock: IReactorTime,
        on_closed: Callable[["Tunnel"], None],
    ) -> None:
        self.state = State.DIALING
        self.outcome = ""
        self._client: IClientEnd | None = client
        self._client_closed = False
        self._backend: BackendEnd | None = None
        self._backend_ended = False
        self._dialing: Deferred[BackendEnd] | None = None
        self._limits = limits
        self._on_closed = on_closed
        self._dropped = False
        self._goodbye: tuple[int, str] | None = None

        self.to_backend = WriteChain(high_water_bytes=limits.high_water_bytes)
        self.to_backend.done.addCallbacks(self._backend_has_all, self._chain_broke)
        self.to_backend.registerProducer(client, True)
        self.to_client = WriteChain(high_water_bytes=limits.high_water_bytes)
        self.to_client.done.addCallbacks(self._client_has_all, self._chain_broke)
        self.to_client.open(client)
        # What comes from one end is just what is to be written to the other: a call less for each piece.
        self.client_sent: Callable[[Buffer], None] = self.to_backend.write
        self.backend_sent: Callable[[Buffer], None] = self.to_client.write
        self._patience = StallTimer(
            clock,
            progress=lambda: self.to_client.passed_bytes + self.to_backend.passed_bytes,
            give_up=self._out_of_patience,
        )

    def dial(self, dialing: Deferred[BackendEnd]) -> None:
        """Wait for the backend; bytes from the client queue up meanwhile, bounded.

        Args:
            dialing: fires with the open backend end, or fails with a `TargetError`.
        """
        self._dialing = dialing
        dialing.addCallbacks(self._backend_opened, self._dial_failed)

    def shut_down(self) -> None:
        """Deliver what is queued, then close both sides; the client is told 1001.

        A tunnel that is closing already is left to it.
        """
        if self.state not in (State.DIALING, State.OPEN):
            return
        if self._dialing is not None:
            self._dialing.cancel()
        if self._backend is not None:
            self._backend_ended = True
            self._backend.transport.pauseProducing()
        self._end_client(CloseCode.GOING_AWAY, "the gateway is shutting down")

    # What the client's end reports

    def client_closed(self) -> None:
        """The client sent a Close frame. Its end answers that by itself."""
        self._client_closed = True
        self._closing("the client closed")
        self.to_client.abandon()
        if self._dialing is not None and not self.to_backend.waiting_bytes:
            self._dialing.cancel()
        self.to_backend.finish()

    def client_failed(self, what: str) -> None:
        """The client broke the protocol. Its end has sent the Close frame for that."""
        self._client_closed = True
        self._closing(f"the client broke the protocol: {what}")
        self._reset_backend()

    def client_lost(self) -> None:
        """The client's connection is gone. Reported once, last."""
        self._client = None
        self.to_client.abandon()
        if not self._client_closed:
            self._closing("the client vanished")
            self._reset_backend()
        self._settle()

    # What the backend's end reports

    def backend_ended(self) -> None:
        """The backend will send no more. It may still read."""
        self._backend_ended = True
        if not self._client_closed:
            self._end_client(CloseCode.NORMAL, "", outcome="the backend closed")
        elif self.to_backend.done.called and self._backend is not None:
            self._backend.drop()

    def backend_lost(self, reason: Failure) -> None:
        """The backend's connection is gone. Reported once, last."""
        self._backend = None
        self.to_backend.abandon()
        if not self._backend_ended and not self._client_closed:
            self.to_client.flush()
            self._end_client(
                CloseCode.INTERNAL_ERROR,
                "backend-reset: the backend reset the connection",
                outcome=f"the backend was lost: {reason.getErrorMessage()}",
            )
            self._say_goodbye()
        self._settle()

    # Dialling

    def _backend_opened(self, backend: BackendEnd) -> None:
        self._dialing = None
        self._backend = backend
        backend.events = self
        if self.state is State.DIALING:
            self.state = State.OPEN
        self.to_client.registerProducer(backend.transport, True)
        self.to_backend.open(backend.transport)

    def _dial_failed(self, failure: Failure) -> None:
        self._dialing = None
        self.to_backend.abandon()
        if failure.check(TargetError):
            error = cast(TargetError, failure.value)
            if self._client_closed:
                self.outcome += f", but {error.sentence}"
            self._end_client(error.close_code, error.close_reason, outcome=f"{error.slug}: {error.sentence}")
        elif failure.check(CancelledError) is None:
            self._log.failure("could not dial", failure)
            self._end_client(CloseCode.INTERNAL_ERROR, "internal-error: see the gateway's log")
        self._settle()

    # Closing

    def _end_client(self, code: int, reason: str, *, outcome: str = "") -> None:
        """Tell the client that this was all, once it has been sent all."""
        self._goodbye = (code, reason)
        self._closing(outcome or reason)
        self.to_client.finish()

    def _say_goodbye(self) -> None:
        goodbye, self._goodbye = self._goodbye, None
        if goodbye is not None and self._client is not None and not self._client_closed:
            self._client.close(*goodbye)

    def _client_has_all(self, _: None) -> None:
        self._say_goodbye()
        self._be_patient()

    def _backend_has_all(self, _: None) -> None:
        if self._backend is not None:
            if self._backend_ended:
                self._backend.drop()
            else:
                self._backend.finish()
        self._be_patient()

    def _chain_broke(self, failure: Failure) -> None:
        """End the tunnel if a chain was not abandoned on purpose: its sink failed as nobody foresaw."""
        if failure.check(CancelledError) is None:
            self._log.failure("a tunnel could not write", failure)
            self._closing("a write failed")
            self._abort()

    def _closing(self, outcome: str) -> None:
        if self.state is not State.CLOSED:
            self.state = State.CLOSING
            self.outcome = self.outcome or outcome
            self._be_patient()

    def _reset_backend(self) -> None:
        self.to_client.abandon()
        self.to_backend.abandon()
        if self._dialing is not None:
            self._dialing.cancel()
        if self._backend is not None:
            self._backend.abort()

    def _abort(self) -> None:
        self._reset_backend()
        if self._client is not None:
            self._client.abort()

    def _settle(self) -> None:
        """Be closed once both ends are gone."""
        gone = self._client is None and self._backend is None and self._dialing is None
        if gone and self.state is not State.CLOSED:
            self.state = State.CLOSED
            self._patience.stop()
            self._on_closed(self)

    # StallTimer with ends that do not close

    def _be_patient(self) -> None:
        """Wait for an end to move or to close, from now on."""
        if self.state is State.CLOSING:
            only_backend = (self._client is None or self._client_closed) and self.to_backend.done.called
            limits = self._limits
            self._patience.wait(limits.linger_seconds if only_backend else limits.stall_seconds)

    def _out_of_patience(self) -> None:
        if self._dropped or self.to_client.draining or self.to_backend.draining:
            self.outcome += "; gave up on a peer that does not read"
            self._abort()
            return
        self._dropped = True
        self.to_client.abandon()
        self.to_backend.abandon()
        for end in (self._client, self._backend):
            if end is not None:
                end.drop()
        self._patience.wait(self._limits.stall_seconds)

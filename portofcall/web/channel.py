"""A connection that speaks HTTP, until it is closed or a tunnel takes it over."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IAddress, IHandshakeListener, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.access.client_address import client_address, client_key
from portofcall.errors import InvalidHeader, InvalidRequest, RequestError, RequestTimedOut, printable
from portofcall.events import Caller
from portofcall.limits.fair_eviction import FairEviction
from portofcall.limits.values import Limits, MiB
from portofcall.web import request_head
from portofcall.web.connection_state import ConnectionState, State
from portofcall.web.paced_channel import PacedChannel
from portofcall.web.request import GatewayRequest
from portofcall.web.request_bounds import RequestBounds
from portofcall.web.responses import raw_response
from portofcall.websocket.turns import Turns

#: How long a connection may be idle between two requests.
IDLE_SECONDS: Final = 60.0
#: The most requests of one connection.
MOST_REQUESTS: Final = 100
#: How much of a refused request is still read, and for how long.
_MOST_DROPPED_BYTES: Final = 8 * MiB
_DROP_SECONDS: Final = 2.0
#: How long a client may take to read the last response, and for its part of the end of TLS.
_CLOSE_SECONDS: Final = 5.0


@implementer(IHandshakeListener)
class GatewayChannel(PacedChannel):
    """A connection that speaks HTTP/1.1, with bounds on size, time and work per turn.

    Args:
        limits: on requests.
        clock: for deadlines and turns.
        turns: the budget of each turn, for all sites of the gateway.
        waiting: the connections that are counted, of all sites of the gateway.
        admit: is called with each request when its head is complete; may raise a `RequestError`.
        refused: is called with each refusal: where it comes from, the request if its head is complete, and
            the error; returns the request's id and its client.
        draining: whether the connection is to close after the next response.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: IReactorTime,
        turns: Turns,
        waiting: FairEviction[ConnectionState],
        admit: Callable[[GatewayRequest], None],
        refused: Callable[[IAddress, GatewayRequest | None, RequestError], Caller],
        draining: Callable[[], bool],
    ) -> None:
        super().__init__(clock, turns)
        self._limits = limits
        self._waiting = waiting
        self._admit = admit
        self._refused = refused
        self._draining = draining
        self._bounds = RequestBounds(limits)
        self._header = b""
        self._idle = False
        self._secured = True
        self._requests_begun = 0
        self._dropped_bytes = 0

    @property
    def state(self) -> State:
        """The current state."""
        return self._connection.now

    def _too_late(self) -> None:
        if not self._secured:
            self._connection.abort()
        elif self._idle:
            self.loseConnection()
        else:
            self.refuse(RequestTimedOut("the request was not complete in time"))

    def refuse(self, error: RequestError, request: GatewayRequest | None = None) -> None:
        """Respond to the request with an error before it is complete, and close.

        What the client still sends is read and dropped for a while: to close at once would reset the
        connection, and the client would not get the response (RFC 9112 §9.6).

        Args:
            error: why.
            request: the request, if its head is complete.
        """
        if self.state is State.WAITING:
            caller = self._refused(self.transport.getPeer(), request, error)
            response = raw_response(
                error,
                secure=self.isSecure(),
                request_id=caller.request_id,
                with_body=not self._bounds.request_line.startswith(b"HEAD "),
            )
            self.transport.write(response)
            self._drop_rest()

    def _drop_rest(self) -> None:
        self._connection.become(State.DROPPING, _DROP_SECONDS, self.loseConnection)
        self.clearLineBuffer()
        self.transport.resumeProducing()

    def loseConnection(self) -> None:
        """Close when the client has read what was written, or does not read it in time."""
        if self.state is State.ANSWERING and self._requests_begun == MOST_REQUESTS:
            # The client may have sent more already, and must get the responses all the same.
            self._drop_rest()
        else:
            self._connection.become(State.CLOSING, _CLOSE_SECONDS)
            super().loseConnection()

    # The transport calls these

    def connectionMade(self) -> None:
        """Wait for the first request."""
        self.totalHeadersSize = self.MAX_LENGTH = self._limits.max_head_bytes
        self.maxHeaders = self._limits.max_header_lines
        super().connectionMade()
        self._connection = ConnectionState(
            self._clock,
            self._waiting,
            client=client_key(client_address(getattr(self.transport.getPeer(), "host", None), (), ())),
            reset=self.transport.abortConnection,
        )
        self._secured = not self.isSecure()
        self._connection.become(State.WAITING, self._limits.request_seconds, self._too_late)
        self.read_at_once()

    def handshakeCompleted(self) -> None:
        """TLS is up (`IHandshakeListener`), so that the client can get responses."""
        self._secured = True

    def dataReceived(self, data: bytes) -> None:
        """Take what the client sends, or drop it."""
        self._secured = True
        if self.state not in (State.WAITING, State.ANSWERING):
            self._drop(len(data))
            return
        if self._idle and not self.paused:
            self._idle = False
            self._connection.become(State.WAITING, self._limits.request_seconds, self._too_late)
        super().dataReceived(data)

    def _drop(self, size: int) -> None:
        self._dropped_bytes += size
        if self.state is State.DROPPING and self._dropped_bytes > _MOST_DROPPED_BYTES:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over."""
        self._connection.become(State.GONE)
        super().connectionLost(reason)

    # HTTPChannel calls these

    def lineReceived(self, line: bytes) -> None:
        """Take a line of the head, within the bounds."""
        if self._connection.now is not State.WAITING:
            return
        try:
            is_first = not self._bounds.request_line
            is_ours = self._bounds.take_line(line)
        except RequestError as error:
            self.refuse(error)
        else:
            if is_ours:
                # The target is parsed from the bounds' copy, see allHeadersReceived.
                super().lineReceived(request_head.without_target(line) if is_first else line)
                if is_first and self._connection.now is State.WAITING:
                    # Most heads have come whole, and need no closer look.
                    headers, size = request_head.parse_plain_headers(self.received)
                    if headers and self._bounds.take_lines(len(headers), size):
                        self.take_headers(headers, size)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line that is larger than a head may be."""
        self.refuse(self._bounds.too_many_head_bytes())

    def headerReceived(self, line: bytes) -> bool:
        """Note the header, for the error if Twisted refuses it."""
        self._header = line
        return bool(super().headerReceived(line))

    def refuse_malformed(self) -> None:
        """Refuse what Twisted's parser refuses, with the same kind of response as everything else."""
        if self._bounds.in_body:
            self.refuse(InvalidRequest("the chunks of the body are malformed"))
        elif self._header:
            name = printable(self._header.partition(b":")[0].decode("latin-1"))
            self.refuse(InvalidHeader(f"the header {name} is malformed or repeated"))
        else:
            self.refuse(InvalidRequest("a request line must be METHOD TARGET HTTP/1.1"))

    def allHeadersReceived(self) -> None:
        """Refuse the request if its head is reason enough."""
        request: GatewayRequest = self.requests[-1]
        get = request.requestHeaders.getRawHeaders
        method, target, version = self._bounds.request_line.split(b" ")
        # For the log, if it is refused at once.
        request.method, request.uri = method, target
        try:
            self._admit(request)
            request_head.check_framing(version, get(b"host", []), get(b"transfer-encoding", []))
            request.target = request_head.parse_request_target(method, target)
            self._bounds.check_length(self.length or 0)
        except RequestError as error:
            self.refuse(error, request)
        else:
            super().allHeadersReceived()

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        """Close after the last request that a connection may have, and while the gateway shuts down."""
        self._requests_begun += 1
        if self._requests_begun < MOST_REQUESTS and not self._draining():
            return bool(super().checkPersistence(request, version))
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        return False

    def rawDataReceived(self, data: bytes) -> None:
        """Take a piece of the body, within the bounds, or what has come behind the request."""
        if self.state is State.WAITING:
            try:
                self._bounds.take_coded(len(data))
            except RequestError as error:
                self.refuse(error)
        if self.state in (State.WAITING, State.ANSWERING):
            super().rawDataReceived(data)

    def takes_content(self, size: int) -> bool:
        """Whether so many bytes more of a body's content are within the bounds; refuses them if not."""
        try:
            self._bounds.take_content(size)
        except RequestError as error:
            self.refuse(error)
        return self.state is State.WAITING

    def allContentReceived(self) -> None:
        """Serve the request, unless it has been refused."""
        if self.state is State.WAITING:
            self._connection.become(State.ANSWERING)
            self._header = b""
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """Wait for the next request."""
        super().requestDone(request)
        if self.state is State.ANSWERING:
            self._idle = True
            self._bounds = RequestBounds(self._limits)
            self._connection.become(State.WAITING, IDLE_SECONDS, self._too_late)

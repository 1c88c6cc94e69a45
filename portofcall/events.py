"""What happens in a gateway, as values for its observers: the log, the metrics, and those of applications.

`portofcall.gateway.Gateway.observe` adds an observer. It is called with each event, in the reactor's thread,
and must return at once. All text in events is ASCII of bounded length: what comes from outside is escaped
before it is put into one. No event has a secret.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = [
    "Caller", "Event", "LimitReached", "Observer", "Probe", "ProbeEnded", "Refused", "RequestServed", "Route",
    "Side", "Stage", "Traffic", "TunnelEnded", "TunnelOpened",
]  # fmt: skip


class Side(StrEnum):
    """Whose action, or silence, ended something."""

    CLIENT = "client"
    BACKEND = "backend"
    GATEWAY = "gateway"
    OPERATOR = "operator"


class Stage(StrEnum):
    """How far a connection, its request, and then a tunnel or a probe had come."""

    TLS = "tls"
    REQUEST = "request"
    DNS = "dns"
    DIAL = "dial"
    OPEN = "open"
    DRAIN = "drain"


class Caller(NamedTuple):
    """A request, and the client that sent it.

    Attributes:
        request_id: the request's id, which is its tunnel's as well.
        received_at: when its head was complete, by the gateway's monotonic clock, in seconds.
        key: the key under which the client is counted: an address, or an IPv6 network.
        address: the client's address; ``local`` for a UNIX socket. Behind trusted proxies, the real one.
        port: its port; None where that is not known.
        proxy: the address of the connection's other end, if that is a trusted proxy; empty otherwise.
        subject: the authenticated subject; empty without authentication.
        trace_parent: the value of ``traceparent`` (W3C Trace Context), without what later versions than 00
            have in addition; empty if there is no valid one.
    """

    request_id: str
    received_at: float
    key: str
    address: str
    port: int | None = None
    proxy: str = ""
    subject: str = ""
    trace_parent: str = ""

    def __str__(self) -> str:
        """``subject@address:port``, as far as known."""
        address, port, subject = self.address, self.port, self.subject
        if port is not None:
            address = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        return f"{subject}@{address}" if subject else address


class Route(NamedTuple):
    """A dial: where to, and how far it came.

    Attributes:
        target: the target as the log shows it: a named one with what it leads to; ``?`` for an invalid one.
        address: the address and port, or the path, that was dialled; empty if none was, or none connected.
        rule: the reason of the policy's verdict, or why TLS to the target failed; empty if neither was
            reached.
        look_up_seconds: how long the look-up of the host name took; None without one.
        dial_seconds: how long it took from the first connection attempt to an open connection, or to the end
            of the attempts; TLS to the target is included. None if nothing was dialled.
        rtt_ms: how long the TCP handshake took, in milliseconds; None without an open connection.
    """

    target: str
    address: str = ""
    rule: str = ""
    look_up_seconds: float | None = None
    dial_seconds: float | None = None
    rtt_ms: float | None = None


class Traffic(NamedTuple):
    """What a tunnel carried.

    Attributes:
        up_bytes: what the backend has acknowledged of the client's payload.
        down_bytes: what the client has acknowledged of the backend's, at least.
        undelivered_bytes: what was received of either, but not acknowledged by the other.
        undelivered_is_exact: False if that counts what frames and TLS add, too.
        up_pauses: how often the client was not read because the backend was slow.
        down_pauses: how often the backend was not read because the client was slow.
        up_paused_seconds: for how long the client was not read.
        down_paused_seconds: for how long the backend was not read.
    """

    up_bytes: int
    down_bytes: int
    undelivered_bytes: int
    undelivered_is_exact: bool
    up_pauses: int
    down_pauses: int
    up_paused_seconds: float
    down_paused_seconds: float


#: The HTTP status of a response that opens a tunnel.
UPGRADED: Final = 101


class TunnelOpened(NamedTuple):
    """A tunnel's backend was reached.

    Attributes:
        caller: the request.
        route: the dial.
        handshake_seconds: see `TunnelEnded`.
    """

    caller: Caller
    route: Route
    handshake_seconds: float


class TunnelEnded(NamedTuple):
    """A tunnel is over, opened or not: both of its ends are gone.

    Attributes:
        caller: the request.
        route: the dial.
        slug: why it ended; one of a closed set.
        outcome: the same, for people.
        side: whose action, or silence, ended it.
        stage: in which stage that was.
        close_code: of the Close frame; 1005 for one without a code, 1006 for none (RFC 6455 §7.1.5).
        traffic: what it carried.
        handshake_seconds: from the complete head of the request to the dial: limits and authentication.
        seconds: from the dial to the end.
        status: of the response: 101, or what the client's dialect has for a failed dial; 0 for none.
    """

    caller: Caller
    route: Route
    slug: str
    outcome: str
    side: Side
    stage: Stage
    close_code: int
    traffic: Traffic
    handshake_seconds: float
    seconds: float
    status: int = UPGRADED


class Probe(StrEnum):
    """The kinds of probes."""

    PING = "ping"
    BANNER = "banner"


class ProbeEnded(NamedTuple):
    """A ping, or the reading of an SSH banner, is over.

    Attributes:
        caller: the request.
        route: the dial.
        probe: which of the two.
        slug: the slug of the error; ``ok`` without one.
        outcome: the same, for people.
        side: whose action, or silence, ended it; the gateway's after a success.
        stage: in which stage it ended; OPEN if it was reached.
        status: the HTTP status; 0 if none was sent.
        seconds: how long it took in all, from the complete head of the request.
    """

    caller: Caller
    route: Route
    probe: Probe
    slug: str
    outcome: str
    side: Side
    stage: Stage
    status: int
    seconds: float


class Refused(NamedTuple):
    """A request was refused, or a connection before it sent one; always by the gateway.

    Attributes:
        caller: the request, or the connection.
        slug: the error's slug; one of a closed set.
        sentence: what was refused, for people.
        status: the HTTP status; 0 if none was sent.
        request: its method, path and query, without secrets; empty if its head was not complete.
        attempted: how the client tried to authenticate, if that is what was refused: ``password``,
            ``ticket``, ``certificate`` if it has none, ``none`` without credentials; empty otherwise.
        user: the user that a refused password was for; empty otherwise.
        target: the requested target; empty where it was not known yet.
        stage: TLS or REQUEST.
        seconds: how long it took, from the complete head of the request; None without one.
    """

    caller: Caller
    slug: str
    sentence: str
    status: int = 0
    request: str = ""
    attempted: str = ""
    user: str = ""
    target: str = ""
    stage: Stage = Stage.REQUEST
    seconds: float | None = None


class RequestServed(NamedTuple):
    """Any other request got its response.

    Attributes:
        caller: the request.
        method: its method.
        path: its path and query, without secrets.
        status: of the response.
        size: of the response's body, in bytes.
        result: of a large file: ``ok``, or why not all of it was sent; empty for all other responses.
    """

    caller: Caller
    method: str
    path: str
    status: int
    size: int
    result: str = ""


class LimitReached(NamedTuple):
    """A limit has refused something; what was refused is an event of its own.

    Attributes:
        limit: the field of `portofcall.limits.values.Limits`.
        key: the client or target that reached it, if it has one each.
    """

    limit: str
    key: str


Event = TunnelOpened | TunnelEnded | ProbeEnded | Refused | RequestServed | LimitReached
#: Is called with each event.
Observer = Callable[[Event], None]

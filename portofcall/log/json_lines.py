"""The log as JSON: one object a line, with the attribute names of OpenTelemetry where it has one.

Names of its semantic conventions are kept as they are (``client.address``, ``error.type``); the gateway's own
begin with ``portofcall.``. An attribute whose value is not known is left out. Text is ASCII, with escapes.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from twisted.logger import LogEvent, formatEvent

from portofcall.errors import printable
from portofcall.events import (
    UPGRADED,
    Caller,
    Event,
    ProbeEnded,
    Refused,
    RequestServed,
    Route,
    Side,
    Stage,
    TunnelEnded,
    TunnelOpened,
)
from portofcall.log.gateway_log import Record

Attributes = Iterator[tuple[str, Any]]

#: The longest text of a line that is no record, in characters.
_MOST_TEXT: Final = 16_384
#: The severity numbers of OpenTelemetry.
_SEVERITIES: Final = {"debug": 5, "info": 9, "warn": 13, "error": 17, "critical": 21}
#: Ends of tunnels that are no errors.
_GOOD: Final = frozenset({"client-closed", "backend-closed", "shutting-down", "ok"})
_encode: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode


def json_line(event: LogEvent) -> str:
    """Return a log event as one line of JSON: a formatter for `twisted.logger.FileLogObserver`."""
    record = event.get("record")
    level, (seconds, rest) = event["log_level"].name, divmod(event["log_time"], 1)
    fields: dict[str, Any] = {
        "timestamp": f"{_date(int(seconds))}.{int(rest * 1000):03d}Z",
        "severity": level.upper(),
        "severity.number": _SEVERITIES[level],
    }
    if isinstance(record, Record):
        fields.update(attributes(record.event))
        if record.more:
            fields["portofcall.more"] = record.more
    else:
        fields.update(_other(event))
    return _encode(fields) + "\n"


@lru_cache(1)
def _date(seconds: int) -> str:
    """Return the date of all lines of a second, in UTC (RFC 3339), up to the seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def attributes(event: Event) -> Attributes:
    """Yield the names and values of an event."""
    yield from _ATTRIBUTES[type(event)](event)


def _other(event: LogEvent) -> Attributes:
    """Yield the fields of all other lines: the gateway's, and those of Twisted."""
    yield "body", printable(formatEvent(event), _MOST_TEXT)
    yield "otel.scope.name", event.get("log_namespace", "")
    failure = event.get("log_failure")
    if failure is not None:
        yield "exception.type", failure.type.__qualname__
        yield "exception.message", printable(failure.getErrorMessage(), _MOST_TEXT)
        yield "exception.stacktrace", printable(failure.getTraceback(), _MOST_TEXT)


def _tunnel_opened(event: TunnelOpened) -> Attributes:
    yield "event.name", "portofcall.tunnel.opened"
    yield from _caller(event.caller)
    yield from _route(event.route)


def _tunnel_ended(event: TunnelEnded) -> Attributes:
    traffic = event.traffic
    yield "event.name", "portofcall.tunnel.ended"
    yield from _caller(event.caller)
    yield from _route(event.route)
    yield from _result(event.slug, event.outcome)
    yield from _end(event.side, event.stage, event.status if event.status != UPGRADED else 0)
    yield "portofcall.close_code", event.close_code
    yield "portofcall.bytes.up", traffic.up_bytes
    yield "portofcall.bytes.down", traffic.down_bytes
    yield "portofcall.bytes.undelivered", traffic.undelivered_bytes
    yield "portofcall.bytes.undelivered_is_exact", traffic.undelivered_is_exact
    yield "portofcall.pauses.up", traffic.up_pauses
    yield "portofcall.pauses.down", traffic.down_pauses
    yield "portofcall.paused.up", _seconds(traffic.up_paused_seconds)
    yield "portofcall.paused.down", _seconds(traffic.down_paused_seconds)
    yield "portofcall.handshake.duration", _seconds(event.handshake_seconds)
    yield "duration", _seconds(event.seconds)


def _probe_ended(event: ProbeEnded) -> Attributes:
    yield "event.name", f"portofcall.{event.probe}.ended"
    yield from _caller(event.caller)
    yield from _route(event.route)
    yield from _result(event.slug, event.outcome)
    yield from _end(event.side, event.stage, event.status)
    yield "duration", _seconds(event.seconds)


def _refused(event: Refused) -> Attributes:
    yield "event.name", "portofcall.refused"
    yield from _caller(event.caller)
    if event.target:
        yield from _target(event.target)
    yield from _result(event.slug, event.sentence)
    yield from _end(Side.GATEWAY, event.stage, event.status)
    if event.request:
        yield "portofcall.request", event.request
    if event.attempted:
        yield "portofcall.login.method", event.attempted
    if event.user:
        yield "portofcall.login.user", event.user
    if event.seconds is not None:
        yield "duration", _seconds(event.seconds)


def _request_served(event: RequestServed) -> Attributes:
    yield "event.name", "portofcall.request"
    yield from _caller(event.caller)
    path, _, query = event.path.partition("?")
    yield "http.request.method", event.method
    yield "url.path", path
    if query:
        yield "url.query", query
    yield "http.response.status_code", event.status
    yield "http.response.body.size", event.size
    if event.result:
        yield "portofcall.result", event.result
        if event.result not in _GOOD:
            yield "error.type", event.result


def _caller(caller: Caller) -> Attributes:
    yield "session.id", caller.request_id
    yield "client.address", caller.address
    if caller.port is not None:
        yield "client.port", caller.port
    if caller.proxy:
        yield "portofcall.proxy.address", caller.proxy
    if caller.subject:
        yield "user.id", caller.subject
    if caller.trace_parent:
        _, trace_id, span_id, flags = caller.trace_parent.split("-")
        yield "trace_id", trace_id
        yield "span_id", span_id
        yield "trace_flags", flags


def _route(route: Route) -> Attributes:
    yield from _target(route.target)
    yield from _place("network.peer", route.address, route.address)
    if route.rule:
        yield "portofcall.rule", route.rule
    if route.look_up_seconds is not None:
        yield "portofcall.dns.duration", _seconds(route.look_up_seconds)
    if route.dial_seconds is not None:
        yield "portofcall.dial.duration", _seconds(route.dial_seconds)
    if route.rtt_ms is not None:
        yield "portofcall.rtt", _seconds(route.rtt_ms / 1000)


def _target(target: str) -> Attributes:
    yield "portofcall.target", target
    name, named, _ = target.partition(" (")
    yield from _place("server", target if not named else "", name)


def _place(prefix: str, text: str, otherwise: str) -> Attributes:
    """Yield the address and the port in ``HOST:PORT``, or only an address if the text is something else."""
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit():
        yield f"{prefix}.address", host.strip("[]")
        yield f"{prefix}.port", int(port)
    elif otherwise:
        yield f"{prefix}.address", otherwise


def _result(slug: str, outcome: str) -> Attributes:
    yield "portofcall.result", slug
    yield "portofcall.outcome", outcome
    if slug not in _GOOD:
        yield "error.type", slug


def _end(side: Side, stage: Stage, status: int) -> Attributes:
    yield "portofcall.ended_by", side
    yield "portofcall.stage", stage
    if status:
        yield "http.response.status_code", status


def _seconds(seconds: float) -> float:
    return round(seconds, 6)


_ATTRIBUTES: Final[dict[type, Callable[[Any], Attributes]]] = {
    TunnelOpened: _tunnel_opened,
    TunnelEnded: _tunnel_ended,
    ProbeEnded: _probe_ended,
    Refused: _refused,
    RequestServed: _request_served,
}

"""Events as lines of text: a sentence for people, then ``name=value`` pairs for programs.

A value with spaces is in double quotes. Times are in seconds. A pair whose value is not known is left out.
What a client has written can't look like a pair: in a sentence there is neither an ``=`` nor a double quote.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from portofcall.events import (
    UPGRADED,
    Caller,
    Event,
    ProbeEnded,
    Refused,
    RequestServed,
    Route,
    Side,
    TunnelEnded,
    TunnelOpened,
)

#: Matches a subject that would look like several words, or like a pair.
_LIKE_PAIRS: Final = re.compile(r'[a-z_]+=|.*[ "]').match


def line(event: Event) -> str:
    """Return an event as one line, as the log has it in its text format."""
    return _LINES[type(event)](event)


def summary(event: Event, more: int) -> str:
    """Return the line that stands for so many events like this one, which were not written."""
    return f"{line(event)} (and {more} more like this)"


def _tunnel_opened(event: TunnelOpened) -> str:
    return f"tunnel {_client(event.caller)} -> {event.route.target} opened id={event.caller.request_id}"


def _tunnel_ended(event: TunnelEnded) -> str:
    traffic = event.traffic
    up_to = "" if traffic.undelivered_is_exact else "up to "
    return (
        f"tunnel {_client(event.caller)} -> {event.route.target} closed: {_sentence(event.outcome)} "
        f"({traffic.up_bytes} bytes up, {traffic.down_bytes} bytes down, "
        f"{up_to}{traffic.undelivered_bytes} bytes undelivered) {_ids(event.caller)} result={event.slug} "
        f"by={event.side} stage={event.stage} code={event.close_code}"
        f"{_status(event.status if event.status != UPGRADED else 0)}{_route(event.route)} "
        f"paused_up={traffic.up_paused_seconds:.3f} paused_down={traffic.down_paused_seconds:.3f} "
        f"handshake={event.handshake_seconds:.3f} time={event.seconds:.3f}"
    )


def _probe_ended(event: ProbeEnded) -> str:
    rtt = "" if event.route.rtt_ms is None else f" rtt_ms={event.route.rtt_ms:.2f}"
    return (
        f"{event.probe} {_client(event.caller)} -> {event.route.target}: {_sentence(event.outcome)} "
        f"{_ids(event.caller)} result={event.slug} by={event.side} stage={event.stage}{_status(event.status)}"
        f"{_route(event.route)}{rtt} time={event.seconds:.3f}"
    )


def _refused(event: Refused) -> str:
    request = f' request="{_unquoted(event.request)}"' if event.request else ""
    target = f" target={event.target}" if event.target else ""
    login = f" login={event.attempted}" if event.attempted else ""
    user = f' user="{_unquoted(event.user)}"' if event.user else ""
    time = "" if event.seconds is None else f" time={event.seconds:.3f}"
    return (
        f"{_client(event.caller)} refused: {event.slug}: {_sentence(event.sentence)} {_ids(event.caller)}"
        f"{_status(event.status)} by={Side.GATEWAY} stage={event.stage}{request}{target}{login}{user}{time}"
    )


def _request_served(event: RequestServed) -> str:
    request = _unquoted(f"{event.method} {event.path}")
    result = f" result={event.result}" if event.result else ""
    return f'{_client(event.caller)} "{request}" {event.status} {event.size} {_ids(event.caller)}{result}'


def _ids(caller: Caller) -> str:
    proxy = f" proxy={caller.proxy}" if caller.proxy else ""
    trace = f" traceparent={caller.trace_parent}" if caller.trace_parent else ""
    return f"id={caller.request_id}{proxy}{trace}"


def _status(status: int) -> str:
    return f" status={status}" if status else ""


def _route(route: Route) -> str:
    address = f" address={route.address}" if route.address else ""
    rule = f' rule="{_unquoted(route.rule)}"' if route.rule else ""
    dns = "" if route.look_up_seconds is None else f" dns={route.look_up_seconds:.3f}"
    dial = "" if route.dial_seconds is None else f" dial={route.dial_seconds:.3f}"
    return f"{address}{rule}{dns}{dial}"


def _client(caller: Caller) -> str:
    subject = caller.subject
    if _LIKE_PAIRS(subject):
        caller = caller._replace(subject=f'"{_unquoted(subject)}"')
    return str(caller)


def _sentence(text: str) -> str:
    return _unquoted(text).replace("=", "\\x3d")


def _unquoted(text: str) -> str:
    return text.replace('"', "'")


_LINES: Final[dict[type, Callable[[Any], str]]] = {
    TunnelOpened: _tunnel_opened,
    TunnelEnded: _tunnel_ended,
    ProbeEnded: _probe_ended,
    Refused: _refused,
    RequestServed: _request_served,
}

"""Events as lines of text."""

from collections.abc import Callable
from typing import Any, Final

from portofcall.events import Event, ProbeEnded, Refused, RequestServed, TunnelEnded, TunnelOpened


def line(event: Event) -> str:
    """Return an event as one line, as the log has it in its text format."""
    return _LINES[type(event)](event)


def _tunnel_opened(event: TunnelOpened) -> str:
    return f"tunnel {event.caller} -> {event.route.target} opened"


def _tunnel_ended(event: TunnelEnded) -> str:
    traffic = event.traffic
    up_to = "" if traffic.undelivered_is_exact else "up to "
    return (
        f"tunnel {event.caller} -> {event.route.target} closed: {event.outcome} "
        f"({traffic.up_bytes} bytes up, {traffic.down_bytes} bytes down, "
        f"{up_to}{traffic.undelivered_bytes} bytes undelivered)"
    )


def _probe_ended(event: ProbeEnded) -> str:
    return f"{event.probe} {event.caller} -> {event.route.target}: {event.outcome}"


def _refused(event: Refused) -> str:
    user = f" (user {event.user})" if event.user else ""
    return f"{event.caller} refused: {event.slug}: {event.sentence}{user}"


def _request_served(event: RequestServed) -> str:
    return f'{event.caller} "{event.method} {event.path}" {event.status} {event.size}'


_LINES: Final[dict[type, Callable[[Any], str]]] = {
    TunnelOpened: _tunnel_opened,
    TunnelEnded: _tunnel_ended,
    ProbeEnded: _probe_ended,
    Refused: _refused,
    RequestServed: _request_served,
}

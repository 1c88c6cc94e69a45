"""A tunnel whose every step can be followed."""

from collections.abc import Callable
from typing import Any

from portofcall.relay.causes import Cause
from portofcall.relay.states import Event
from portofcall.relay.tunnel import Tunnel


class TracedTunnel(Tunnel):
    """Describes each event, with the states of both ends that follow.

    It is a class of its own, so that other tunnels pay nothing.

    Args:
        trace: is called with a line for each event.
        settings: as for `Tunnel`.
    """

    def __init__(self, *settings: Any, trace: Callable[[str], None], **named_settings: Any) -> None:
        self._trace = trace
        super().__init__(*settings, **named_settings)

    def _happens(self, event: Event, cause: Cause | None = None) -> None:
        super()._happens(event, cause)
        ends = self._ends
        self._trace(f"{event.value}: client {ends.client_state.value}, backend {ends.backend_state.value}")

"""When the process ends by itself: ``--run-once``, ``--timeout``, ``--idle-timeout``."""

from collections.abc import Callable
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from portofcall.events import Event, TunnelEnded
from portofcall.gateway import Gateway

#: How often to look whether there are connections, in seconds; as often as websockify does.
_LOOK_SECONDS: Final = 1.0
#: How long downloads may go on once the time is over and no tunnel is left.
_DOWNLOADS_SECONDS: Final = 60.0


class Lifetime(Service):
    """Stops the process when its time is over. Tunnels and downloads that are open then end first.

    Tunnels may take as long as they like, and downloads a minute more.

    Args:
        reactor: keeps the time, and is stopped.
        gateway: its requests and tunnels are what counts.
        stop_listening: closes the listening socket.
        say: writes a line.
        run_once: whether the first tunnel is the only one.
        seconds: how long the process lives, from its start; 0 means no limit.
        idle_seconds: how long it may be without a tunnel, a request and a download; 0 means no limit.
    """

    def __init__(
        self,
        reactor: Any,
        gateway: Gateway,
        *,
        stop_listening: Callable[[], Deferred[None]],
        say: Callable[[str], None],
        run_once: bool,
        seconds: int,
        idle_seconds: int,
    ) -> None:
        self._reactor = reactor
        self._gateway = gateway
        self._stop_listening = stop_listening
        self._say = say
        self._run_once = run_once
        self._seconds = seconds
        self._idle_seconds = idle_seconds
        self._active_at = 0.0
        self._end_call: IDelayedCall | None = None
        self._next_look: IDelayedCall | None = None
        self._ending = False
        gateway.observe(self._happened)

    def startService(self) -> None:
        """Begin to count."""
        super().startService()
        if self._seconds:
            self._end_call = self._reactor.callLater(self._seconds, self._timed_out)
        if self._idle_seconds:
            self._active_at = self._reactor.seconds()
            self._look()

    def stopService(self) -> None:
        """Count no more."""
        super().stopService()
        for call in (self._end_call, self._next_look):
            if call is not None and call.active():
                call.cancel()

    def tunnel_begun(self) -> None:
        """Admit no other tunnel, if there is to be one only."""
        if self._run_once:
            self._gateway.drain()
            self._stop_listening()

    def _happened(self, event: Event) -> None:
        self._active_at = self._reactor.seconds()
        if self._run_once and isinstance(event, TunnelEnded):
            self._end(f"{event.caller.address}: exiting due to --run-once")

    def _timed_out(self) -> None:
        self._end(f"listener exit due to --timeout {self._seconds}")

    def _look(self) -> None:
        now = self._reactor.seconds()
        if self._gateway.admission.used or self._gateway.admission.downloads:
            self._active_at = now
        if now - self._active_at > self._idle_seconds:
            self._end(f"listener exit due to --idle-timeout {self._idle_seconds}")
        else:
            self._next_look = self._reactor.callLater(_LOOK_SECONDS, self._look)

    def _end(self, why: str) -> None:
        if not self._ending:
            self._ending = True
            self._say(why)
            if self._next_look is not None and self._next_look.active():
                self._next_look.cancel()
            self._gateway.drain()
            self._stop_listening().addCallback(lambda _: self._gateway.sessions.when_none()).addCallback(
                lambda _: self._stop_after_downloads(self._reactor.seconds() + _DOWNLOADS_SECONDS)
            )

    def _stop_after_downloads(self, latest: float) -> None:
        if not self.running:
            return
        if self._gateway.admission.downloads and self._reactor.seconds() < latest:
            self._next_look = self._reactor.callLater(_LOOK_SECONDS, self._stop_after_downloads, latest)
        else:
            self._reactor.stop()

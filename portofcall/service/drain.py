"""Stopping in order: load balancers first, then the listeners, then the tunnels."""

from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger

from portofcall.gateway import Gateway


class Drain(MultiService):
    """Runs the listeners, which are its children, and stops them and the gateway in order.

    The gateway is not ready from the moment when it is stopped. After ``delay_seconds`` the listeners close
    and new requests are refused; tunnels may then end by themselves for ``drain_seconds``; those that are
    left are closed once what is queued in them has been delivered.

    Args:
        reactor: keeps the time.
        gateway: is shut down.
        delay_seconds: how long clients are admitted although the gateway is not ready.
        drain_seconds: how long tunnels live on without new ones.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, gateway: Gateway, *, delay_seconds: float = 0, drain_seconds: float = 0
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._gateway = gateway
        self._delay_seconds = delay_seconds
        self._drain_seconds = drain_seconds
        self._pause: Deferred[None] | None = None
        self._reset_tunnels: int | None = None
        self._is_stopped = False
        self._waiting: list[Deferred[None]] = []
        #: How many tunnels had ended when those that were left were closed, or reset.
        self._ended: int | None = None

    def stopService(self) -> Deferred[None]:
        """Stop in order.

        Returns:
            A Deferred that fires when the last tunnel is closed.
        """
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    def when_stopped(self) -> Deferred[None]:
        """Return a Deferred that fires when stopping is over; at once if it is."""
        stopped: Deferred[None] = Deferred()
        self._waiting.append(stopped)
        self._report_if_stopped()
        return stopped

    def skip(self) -> None:
        """Wait neither for load balancers nor for tunnels to end by themselves."""
        self._delay_seconds = self._drain_seconds = 0
        self._go_on()

    def end(self) -> None:
        """Reset all tunnels, so that stopping is over at once."""
        if self._reset_tunnels is None:
            self._reset_tunnels = len(self._gateway.sessions)
            self._close_the_count()
        self._gateway.drain()
        self._gateway.abort()
        self.skip()

    async def _stop(self) -> None:
        gateway, began = self._gateway, self._reactor.seconds()
        before = gateway.sessions.totals
        gateway.accepting = False
        if self._delay_seconds or (self._drain_seconds and len(gateway.sessions)):
            self._log.info(
                "stopping; until listeners close: {delay:g} s, then for tunnels: {drain:g} s, "
                "open now: {tunnels}",
                delay=self._delay_seconds,
                drain=self._drain_seconds,
                tunnels=len(gateway.sessions),
            )
        await self._wait(self._delay_seconds)
        closing = [maybeDeferred(listener.stopService) for listener in reversed(list(self))]
        gateway.drain()
        await DeferredList(closing)
        idle = gateway.sessions.when_none().addCallback(lambda _: self._go_on())
        await self._wait(0 if idle.called else self._drain_seconds)
        ended = self._close_the_count()
        over = gateway.shut_down()
        if self._reset_tunnels is not None:
            gateway.abort()
        await over
        after = gateway.sessions.totals
        self._log.info(
            "stopped after {seconds:.1f} s; tunnels in flight: {tunnels}, ended by themselves: "
            "{by_themselves}, reset: {reset}, incomplete: {incomplete} ({lost} bytes undelivered); "
            "requests dropped: {requests}",
            seconds=self._reactor.seconds() - began,
            tunnels=after.ended - before.ended,
            by_themselves=ended - before.ended,
            reset=self._reset_tunnels or 0,
            lost=after.undelivered_bytes - before.undelivered_bytes,
            incomplete=after.incomplete - before.incomplete,
            requests=gateway.admission.used,
        )
        self._is_stopped = True
        self._report_if_stopped()

    def _report_if_stopped(self) -> None:
        if self._is_stopped:
            waiting, self._waiting = self._waiting, []
            for stopped in waiting:
                stopped.callback(None)

    def _close_the_count(self) -> int:
        """Return how many tunnels had ended at the first call."""
        if self._ended is None:
            self._ended = self._gateway.sessions.totals.ended
        return self._ended

    async def _wait(self, seconds: float) -> None:
        """Wait for so long, unless something makes it go on earlier."""
        if seconds > 0:
            self._pause = Deferred()
            timer = self._reactor.callLater(seconds, self._go_on)
            await self._pause
            if timer.active():
                timer.cancel()

    def _go_on(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.callback(None)

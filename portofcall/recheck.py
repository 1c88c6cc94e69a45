"""Asking the policy again for open tunnels, after it was replaced."""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from portofcall.egress.dialer import Dialer
from portofcall.egress.judge_again import judge_again
from portofcall.egress.local_networks import LocalNetworks
from portofcall.errors import TargetError, printable
from portofcall.relay.states import Phase
from portofcall.session import Session
from portofcall.sessions import Sessions

#: So many tunnels are judged in one turn of the event loop: that takes a few milliseconds.
_AT_A_TIME: Final = 50
#: A tunnel that is being dialled has been judged by the old policy; it is looked at again after this time.
_DIAL_SECONDS: Final = 1.0


class Recheck:
    """Judges every open tunnel again when it is called, and closes what is no longer allowed with 4403.

    A tunnel that is closing already goes on closing.

    Args:
        sessions: the tunnels.
        dialer: has the policy and the named targets of now.
        local_networks: returns this machine's networks.
        clock: for the turns of the event loop.
    """

    _log = Logger()

    def __init__(
        self,
        sessions: Sessions,
        dialer: Dialer,
        *,
        local_networks: Callable[[], LocalNetworks],
        clock: IReactorTime,
    ) -> None:
        self._sessions = sessions
        self._dialer = dialer
        self._local_networks = local_networks
        self._clock = clock
        self._left: deque[Session] = deque()
        self._dialing: list[Session] = []
        self._judged = self._ended = 0
        self._next: IDelayedCall | None = None

    def __call__(self) -> None:
        """Begin, or begin anew."""
        self._left, self._dialing = deque([*self._sessions.live(), *self._sessions.dialed_first()]), []
        self._judged = self._ended = 0
        if self._next is not None:
            self._next.cancel()
        self._go_on()

    def _go_on(self) -> None:
        self._next = None
        local = self._local_networks()
        for _ in range(min(_AT_A_TIME, len(self._left))):
            session = self._left.popleft()
            phase = session.phase
            if phase is Phase.DIALING:
                self._dialing.append(session)
            elif phase is Phase.OPEN:
                self._judge(session, local)
        if self._left:
            self._next = self._clock.callLater(0, self._go_on)
        elif self._dialing:
            self._left, self._dialing = deque(self._dialing), []
            self._next = self._clock.callLater(_DIAL_SECONDS, self._go_on)
        else:
            self._log.info(
                "open tunnels judged again: {judged}, no longer allowed: {ended}",
                judged=self._judged,
                ended=self._ended,
            )

    def _judge(self, session: Session, local: LocalNetworks) -> None:
        target, endpoint = session.target, session.trace.endpoint
        assert not isinstance(target, TargetError)
        assert endpoint is not None, "it is open"
        self._judged += 1
        refusal = judge_again(
            target,
            session.described,
            endpoint,
            policy=self._dialer.policy,
            targets=self._dialer.targets,
            local=local,
        )
        if refusal is None:
            return
        self._ended += 1
        if refusal.reason:
            self._log.warn(
                "target {target}: {reason}", target=session.described, reason=printable(refusal.reason, 300)
            )
        session.tunnel.end((refusal.error.close_code, refusal.error.close_reason))

"""Why a tunnel ends: the causes, and which of them counts."""

from typing import Final, NamedTuple

from portofcall.errors import Blocked, InvalidTarget, TargetBusy, TargetError, UnknownTarget
from portofcall.events import Side
from portofcall.relay.states import Phase


class Cause(NamedTuple):
    """Why a tunnel ends.

    Attributes:
        slug: a stable name for programs; one of a closed set.
        sentence: what happened, for people.
        side: whose action, or silence, it is.
    """

    slug: str
    sentence: str
    side: Side


CLIENT_CLOSED: Final = Cause("client-closed", "the client closed", Side.CLIENT)
CLIENT_LOST: Final = Cause("client-lost", "client disconnected without a Close frame", Side.CLIENT)
CLIENT_LEFT: Final = Cause("client-lost", "client disconnected before the response", Side.CLIENT)
CLIENT_STUCK: Final = Cause("client-stuck", "client acknowledged nothing", Side.CLIENT)
BACKEND_CLOSED: Final = Cause("backend-closed", "the backend closed", Side.BACKEND)
WRITE_FAILED: Final = Cause("internal-error", "a write failed", Side.GATEWAY)
INTERNAL_ERROR: Final = Cause("internal-error", "internal-error: see the gateway's log", Side.GATEWAY)
SHUT_DOWN: Final = Cause("shutting-down", "the gateway is shutting down", Side.GATEWAY)
ABORTED: Final = Cause("aborted", "reset", Side.GATEWAY)
#: The slugs of all causes, but for those of a `TargetError`.
SLUGS: Final = frozenset(
    {
        *("aborted", "backend-closed", "backend-gone", "backend-reset", "backend-stuck", "client-closed"),
        *("client-gone", "client-lost", "client-stuck", "ended-by-operator", "grace-over", "idle-timeout"),
        *("internal-error", "lifetime-over", "ping-timeout", "protocol-error", "shutting-down"),
        *("stall-timeout",),
    }
)

#: Errors with which the gateway itself refuses a dial.
_REFUSALS = (InvalidTarget, Blocked, TargetBusy, UnknownTarget)


def dial_failed(error: TargetError) -> Cause:
    """Return the cause of the end of a tunnel whose target was refused or not reached."""
    side = Side.GATEWAY if isinstance(error, _REFUSALS) else Side.BACKEND
    return Cause(error.slug, f"{error.slug}: {error.sentence}", side)


class Ending:
    """Why a tunnel ended: the first cause, until the delivery of what was queued then fails.

    Attributes:
        slug: of the cause that counts; empty while the tunnel lives.
        outcome: all that happened, for people.
        side: whose action, or silence, the cause was.
        phase: in which phase the tunnel was then.
    """

    __slots__ = ("outcome", "phase", "side", "slug")

    def __init__(self) -> None:
        self.slug = self.outcome = ""
        self.side = Side.GATEWAY
        self.phase = Phase.DIALING

    def begin(self, cause: Cause, phase: Phase) -> None:
        """Take a cause, unless there is one."""
        if not self.slug:
            self.slug, self.outcome, self.side = cause
            self.phase = phase

    def fail(self, cause: Cause, phase: Phase, *, link: str = "; timed out: ") -> None:
        """Take a cause that counts more than that which began the end: something could not be delivered.

        Args:
            cause: what happened.
            phase: the phase of the tunnel.
            link: joins the sentences.
        """
        outcome = f"{self.outcome}{link}{cause.sentence}" if self.outcome else cause.sentence
        self.slug, _, self.side = cause
        self.outcome, self.phase = outcome, phase

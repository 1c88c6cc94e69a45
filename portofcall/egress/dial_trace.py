"""How far a dial came, and how long each part of it took."""

from pathlib import PurePosixPath

from portofcall.events import Route, Stage
from portofcall.target import Address, Target

#: The longest reason in a trace, in characters.
MOST_REASON = 300


class DialTrace:
    """Notes of one dial, which `portofcall.egress.dialer.Dialer.dial` takes: also of one that fails.

    Attributes:
        rule: the reason of the policy's verdict, or why TLS to the target failed, which the client is not
            shown about a named target; empty if the policy was not asked.
        look_up_seconds: how long the look-up of the host name took; None without one.
        dial_seconds: how long it took to connect, or to fail at that; None if nothing was dialled yet.
        endpoint: what is dialled, or was reached; None before.
        rtt_ms: how long the TCP handshake took, in milliseconds; None without an open connection.
    """

    __slots__ = ("_port", "dial_seconds", "endpoint", "look_up_seconds", "rtt_ms", "rule")

    def __init__(self) -> None:
        self.rule = ""
        self.look_up_seconds: float | None = None
        self.dial_seconds: float | None = None
        self.rtt_ms: float | None = None
        self.endpoint: Address | PurePosixPath | None = None
        self._port = 0

    @property
    def stage(self) -> Stage:
        """DNS until something is dialled, OPEN once that is reached."""
        if self.rtt_ms is not None:
            return Stage.OPEN
        return Stage.DNS if self.endpoint is None else Stage.DIAL

    def dials(self, endpoint: Address | PurePosixPath, port: int) -> None:
        """Note what is dialled: first the first of all addresses, then the one that was reached."""
        self.endpoint, self._port = endpoint, port

    def route(self, target: str) -> Route:
        """Return the notes as a value, with the target as the log shows it."""
        endpoint = self.endpoint
        if endpoint is None:
            address = ""
        elif isinstance(endpoint, PurePosixPath):
            address = f"unix:{endpoint}"
        else:
            address = str(Target(str(endpoint), self._port))
        return Route(target, address, self.rule, self.look_up_seconds, self.dial_seconds, self.rtt_ms)

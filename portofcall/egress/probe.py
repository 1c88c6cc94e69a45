"""Probe a target without a tunnel: TCP ping, SSH banner."""

import re
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from portofcall.egress.dial_trace import DialTrace
from portofcall.egress.dialer import Dialer
from portofcall.errors import BannerTimedOut, ClosedEarly, NotSSH, printable
from portofcall.target import Requested

#: RFC 4253 §4.2: the identification line, with its CR LF, and by extension each line before it.
MAX_LINE_BYTES = 255
#: How many lines may precede it; the RFC sets no limit.
MAX_LINES_BEFORE = 50

_IDENTIFICATION = re.compile(r"SSH-(?P<protocol>[!-,.-~]+)-(?P<software>[!-~]+)(?: (?P<comments>[^\0]*))?")


@dataclass(frozen=True, slots=True)
class Banner:
    """How an SSH server identifies itself (RFC 4253 §4.2).

    Attributes:
        line: the whole line, without its end.
        protocol: the protocol version, such as ``2.0``.
        software: the software and its version, such as ``OpenSSH_9.2p1``.
        comments: the text after the first space; may be empty.
        rtt_ms: how long the TCP handshake took, in milliseconds.
    """

    line: str
    protocol: str
    software: str
    comments: str
    rtt_ms: float = 0.0


class BannerReader:
    """Finds the identification line in a server's first bytes. A parser without I/O.

    Lines before the one that starts with ``SSH-`` are skipped, up to `MAX_LINES_BEFORE` of them. A line ends
    with LF or CR LF, and has at most `MAX_LINE_BYTES` with its end. Data after the identification is ignored.
    """

    def __init__(self) -> None:
        self._data = b""
        self._skipped = 0

    def feed(self, data: bytes) -> Banner | None:
        """Parse the next bytes, however few or many.

        Returns:
            The banner once its line is complete, None until then.

        Raises:
            NotSSH: this is not how an SSH server begins.
        """
        self._data += data
        while True:
            line, newline, rest = self._data.partition(b"\n")
            if len(line) + 1 > MAX_LINE_BYTES:
                raise NotSSH(f"the server sent a line of more than {MAX_LINE_BYTES} bytes, which SSH forbids")
            if not newline:
                return None
            if line.startswith(b"SSH-"):
                return self._parse(line.removesuffix(b"\r"))
            self._skipped += 1
            if self._skipped > MAX_LINES_BEFORE:
                raise NotSSH(f"the server sent more than {MAX_LINES_BEFORE} lines and no SSH identification")
            self._data = rest

    @staticmethod
    def _parse(line: bytes) -> Banner:
        text = line.decode("latin-1")
        match = _IDENTIFICATION.fullmatch(text)
        if match is None:
            raise NotSSH(f"the server's identification is malformed: {printable(text)}")
        comments = printable(match["comments"] or "", MAX_LINE_BYTES)
        return Banner(printable(text, MAX_LINE_BYTES), match["protocol"], match["software"], comments)


class _Ping(Protocol):
    """Closes its connection as soon as it is open."""

    transport: ITCPTransport

    def connectionMade(self) -> None:
        """Close: the handshake was all that had to be measured."""
        self.transport.loseConnection()


class _ReadBanner(Protocol):
    """Feeds a `BannerReader` from a connection, and always closes the connection.

    Attributes:
        banner: fires with the `Banner`, or fails with a `TargetError`. Cancelling it closes the connection.
    """

    transport: ITCPTransport

    def __init__(self) -> None:
        self.banner: Deferred[Banner] = Deferred(lambda _: self.transport.loseConnection())
        self._reader = BannerReader()

    def dataReceived(self, data: bytes) -> None:
        """Read until the banner is complete or can't come any more."""
        if self.banner.called:
            return
        try:
            banner = self._reader.feed(data)
        except NotSSH as error:
            self.transport.loseConnection()
            self.banner.errback(error)
        else:
            if banner is not None:
                self.transport.loseConnection()
                self.banner.callback(banner)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report a server that closes before its banner is complete."""
        if not self.banner.called:
            self.banner.errback(ClosedEarly("the server closed the connection before it identified itself"))


async def ping(
    dialer: Dialer,
    target: Requested,
    *,
    client: str,
    timeout_seconds: float,
    trace: DialTrace | None = None,
) -> float:
    """Open a TCP connection to ``target`` and close it.

    Args:
        dialer: opens the connection.
        target: host and port, or the name of a target.
        client: the client's key, as counted.
        timeout_seconds: for look-up and connection each.
        trace: notes how far the dial came.

    Returns:
        The time that the TCP handshake took, in milliseconds.

    Raises:
        TargetError: see `portofcall.egress.dialer.Dialer.dial`.
    """
    dialed = await dialer.dial(target, _Ping, client=client, timeout_seconds=timeout_seconds, trace=trace)
    dialed.lease.release()
    return dialed.rtt_ms


async def read_banner(
    dialer: Dialer,
    target: Requested,
    *,
    client: str,
    clock: IReactorTime,
    timeout_seconds: float,
    trace: DialTrace | None = None,
) -> Banner:
    """Open a connection to ``target``, read its SSH identification, and close it.

    Args:
        dialer: opens the connection.
        target: host and port, or the name of a target.
        client: the client's key, as counted.
        clock: for the time limit.
        timeout_seconds: for look-up, connection and banner each.
        trace: notes how far the dial came.

    Returns:
        The `Banner`.

    Raises:
        BannerTimedOut: the server sent no identification in time.
        ClosedEarly: the server closed the connection first.
        NotSSH: the server speaks another protocol.
        TargetError: see `portofcall.egress.dialer.Dialer.dial`.
    """
    dialed = await dialer.dial(
        target, _ReadBanner, client=client, timeout_seconds=timeout_seconds, trace=trace
    )
    with dialed.lease:
        try:
            banner = await dialed.protocol.banner.addTimeout(timeout_seconds, clock)
        except TimeoutError:
            raise BannerTimedOut(f"{target} did not identify itself within {timeout_seconds:g} s") from None
    return replace(banner, rtt_ms=dialed.rtt_ms)

"""Local listeners, each connection of which is a tunnel through a gateway."""

import os
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IAddress, IListeningPort, ILoggingContext
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.client.connection import Gateway, Route
from portofcall.client.forward_listen import listen, stop
from portofcall.client.forward_rules import Rule
from portofcall.client.forwarded_end import LOCAL_RESET, ForwardedEnd
from portofcall.client.gateway_url import GatewayURL
from portofcall.client.local_connection import LocalConnection, SOCKSConnection
from portofcall.client.problem import Problem, Status
from portofcall.client.report import Detail, Report
from portofcall.client.socks import SOCKSLogin
from portofcall.client.tunnel import ClientTunnel
from portofcall.errors import printable
from portofcall.target import Requested

#: For a SOCKS handshake.
HANDSHAKE_SECONDS: Final = 10.0
#: The most SOCKS handshakes at a time; one more ends the oldest.
MOST_HANDSHAKES: Final = 128
#: The most connections that wait for the gateway; one more is reset.
MOST_OPENING: Final = 1024
#: Between two attempts: at first, and at most.
_RETRY_SECONDS, _MOST_RETRY_SECONDS = 0.1, 5.0
#: What another attempt may change.
_PASSING: Final = {Status.UNREACHABLE, Status.TRY_LATER}

_STOPPED: Final = Problem("stopped", "the forwarder was stopped", Status.INTERRUPTED)


class Forwarder:
    """Listens, and opens one tunnel for each connection that comes.

    A connection whose tunnel fails is reset, and its problem reported in one line; a SOCKS client gets a
    reply code in place of the reset. Listeners go on whatever happens to the gateway.

    Args:
        reactor: listens, connects and keeps the time.
        gateway: a URL such as ``wss://gw.example``, or a `Route` or `Gateway` for everything else.
        rules: what to listen on, and where that leads; see `Rule`.
        retry_seconds: for how long another attempt is made for a connection, if the gateway is not reachable
            or has no place.
        login: the user and the password that SOCKS clients need; None means nothing.
        report: gets problems, and steps; None writes them to standard error.

    Attributes:
        addresses: where it listens.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        gateway: "str | Route | Gateway",
        rules: Sequence[Rule],
        *,
        retry_seconds: float = 0.0,
        login: SOCKSLogin | None = None,
        report: Report | None = None,
    ) -> None:
        if isinstance(gateway, str):
            gateway = Route(url=GatewayURL.parse(gateway))
        self._gateway = Gateway(reactor, gateway) if isinstance(gateway, Route) else gateway
        self.addresses: list[IAddress] = []
        self._reactor = reactor
        self._rules = rules
        self._retry_seconds = retry_seconds
        self._login = login
        self._report = report or Report("portofcall forward")
        self._ports: list[IListeningPort] = []
        self._handshakes: dict[LocalConnection, Deferred[Requested]] = {}
        self._opening = 0
        self._serving: dict[LocalConnection, Deferred[None]] = {}
        self._tunnels: dict[LocalConnection, ClientTunnel] = {}
        self._idle: Deferred[None] | None = None

    def start(self) -> Deferred[None]:
        """Listen. Fails with `Problem` if an address is taken, or a file of the TLS options is not valid."""
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Stop listening, and reset all connections; fires once they are gone."""
        return Deferred.fromCoroutine(self._stop())

    async def _start(self) -> None:
        self._gateway.check()
        try:
            for rule in self._rules:
                for port in await listen(self._reactor, rule, _Connections(self, rule)):
                    self._ports.append(port)
                    self.addresses.append(port.getHost())
                    where = "as a SOCKS server" if rule.target is None else f"to {rule.target}"
                    self._report.step(f"listening on {describe(port.getHost())}, {where}")
        except Problem:
            await self._stop()
            raise

    async def _stop(self) -> None:
        ports, self._ports = self._ports, []
        self.addresses = []
        for port in ports:
            await stop(port)
        for connection, serving in list(self._serving.items()):
            tunnel = self._tunnels.get(connection)
            if tunnel is None:
                serving.cancel()
            else:
                tunnel.interrupt(_STOPPED)
        if self._serving:
            self._idle = Deferred()
            await self._idle

    def make_connection(self, rule: Rule) -> LocalConnection:
        """Make the protocol of one connection of a local program."""
        if rule.target is None:
            return SOCKSConnection(self._login, self._accepted)
        return LocalConnection(rule.target, self._accepted)

    def _accepted(self, connection: LocalConnection) -> None:
        serving: Deferred[None] = Deferred.fromCoroutine(self._serve(connection))
        self._serving[connection] = serving
        connection.lost = serving.cancel
        serving.addBoth(self._served, connection)

    def _served(self, result: Failure | None, connection: LocalConnection) -> None:
        del self._serving[connection]
        self._tunnels.pop(connection, None)
        if isinstance(result, Failure):
            self._log.failure("could not serve a connection", result)
            connection.close()
        if self._idle is not None and not self._serving:
            idle, self._idle = self._idle, None
            idle.callback(None)

    async def _serve(self, connection: LocalConnection) -> None:
        target: Requested | None = None
        try:
            target = await self._target_of(connection)
            tunnel = self._tunnels[connection] = await self._open(connection, target)
            self._report.step(f"{target}: the gateway has accepted the tunnel", Detail.EVERYTHING)
            await tunnel.closed
        except CancelledError:
            connection.close()
        except Problem as problem:
            connection.fail(problem)
            self._say(problem, target)
        else:
            self._report.step(f"{target}: both sides have ended", Detail.EVERYTHING)

    def _say(self, problem: Problem, target: Requested | None) -> None:
        if problem is _STOPPED:
            return
        if target is None:
            self._report.step(f"{problem.slug}: {problem.sentence}")
        elif problem.slug == LOCAL_RESET:
            self._report.step(f"{target}: {problem.slug}: {problem.sentence}")
        else:
            self._report.problem(problem, about=str(target))

    async def _target_of(self, connection: LocalConnection) -> Requested:
        """Return where a connection goes. Handshakes are bounded in time and number."""
        asked = connection.target()
        if asked.called:
            return await asked
        if len(self._handshakes) >= MOST_HANDSHAKES:
            self._handshakes[next(iter(self._handshakes))].cancel()
        self._handshakes[connection] = asked
        asked.addTimeout(HANDSHAKE_SECONDS, self._reactor)
        try:
            return await asked
        except TimeoutError:
            sentence = f"the SOCKS handshake took more than {HANDSHAKE_SECONDS:g} seconds"
            connection.close()
            raise Problem("socks-timeout", sentence, Status.USAGE) from None
        finally:
            del self._handshakes[connection]

    async def _open(self, connection: LocalConnection, target: Requested) -> ClientTunnel:
        if self._opening >= MOST_OPENING:
            sentence = f"{MOST_OPENING} other connections wait for the gateway"
            raise Problem("too-many-connections", sentence, Status.TRY_LATER)
        self._opening += 1
        try:
            return await self._open_in_time(connection, target)
        finally:
            self._opening -= 1

    async def _open_in_time(self, connection: LocalConnection, target: Requested) -> ClientTunnel:
        ends_at, pause = self._reactor.seconds() + self._retry_seconds, _RETRY_SECONDS

        def local(tunnel: ClientTunnel) -> ForwardedEnd:
            return connection.begin(tunnel, readiness=self._gateway.readiness, clock=self._reactor)

        connected = None if connection.answer is None else connection.target_connected
        while True:
            try:
                return await self._gateway.open(target, local, connected=connected)
            except Problem as problem:
                wait = max(pause, problem.retry_after_seconds or 0)
                if problem.status not in _PASSING or self._reactor.seconds() + wait > ends_at:
                    raise
                self._report.step(f"{target}: {problem.slug}: {problem.sentence}; another attempt follows")
            await deferLater(self._reactor, wait)
            pause = min(2 * pause, _MOST_RETRY_SECONDS)


@implementer(ILoggingContext)
class _Connections(Factory):
    """Makes the protocols of one listener's connections."""

    noisy = False

    def __init__(self, forwarder: Forwarder, rule: Rule) -> None:
        self._forwarder = forwarder
        self._rule = rule

    def logPrefix(self) -> str:
        """Return the name with which Twisted's log says where it listens."""
        return "portofcall-forward"

    def buildProtocol(self, addr: IAddress | None) -> LocalConnection:
        """Make the protocol of one connection."""
        return self._forwarder.make_connection(self._rule)


def describe(address: IAddress) -> str:
    """Return an address as people write it."""
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    assert isinstance(address, UNIXAddress)
    return printable(os.fsdecode(address.name or b""))

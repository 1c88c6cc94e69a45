"""Resolve once, judge every address, connect to a judged one. Every connection to a target is made here."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, TypeVar, cast

from OpenSSL.SSL import Context
from twisted.internet import error
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from portofcall.egress.connector import MAX_ATTEMPTS, Dialed, Endpoint, Race
from portofcall.egress.dial_trace import MOST_REASON, DialTrace
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.loop_guard import LoopGuard
from portofcall.egress.named_target import NamedTarget, Targets, TLSTrust
from portofcall.egress.policy import Policy, Undecided
from portofcall.egress.proxy_header import ClientConnection
from portofcall.egress.proxy_rules import Destination, ProxyRule, header_for
from portofcall.egress.resolver import Resolver, interleave
from portofcall.egress.tls_trust import make_context
from portofcall.errors import (
    Blocked,
    ConnectTimedOut,
    NameNotFound,
    NameTimedOut,
    Refused,
    TargetBusy,
    TLSFailed,
    Unreachable,
    printable,
)
from portofcall.limits.admission import Admission
from portofcall.limits.values import Limits
from portofcall.target import Address, Target, Wanted, destination
from portofcall.tls_client import start_tls, tls_problem

P = TypeVar("P", bound=IProtocol)


class Dialer:
    """The only opener of connections.

    What it raises about a named target shows the name only; the trace of the dial has the rest, for the log.

    Args:
        reactor: opens the connections and keeps the time limits.
        resolver: resolves names; called at most once per dial.
        policy: judges each address; may be replaced while running, for later dials.
        targets: the named targets; may be replaced as well.
        admission: counts the connections to each target.
        loop_guard: the gateway's own listeners, which are never dialled.
        local_networks: returns this machine's networks, which are not ``public``.
        limits: the time limits.
        monotonic: a clock in seconds that never jumps, for ``rtt_ms``.
    """

    #: Which targets get the header of the PROXY protocol.
    proxy_rules: Sequence[ProxyRule] = ()

    def __init__(
        self,
        reactor: Any,
        *,
        resolver: Resolver,
        policy: Policy,
        targets: Targets,
        admission: Admission,
        loop_guard: LoopGuard,
        local_networks: Callable[[], LocalNetworks],
        limits: Limits,
        monotonic: Callable[[], float],
    ) -> None:
        self.policy = policy
        self.targets = targets
        self._reactor = reactor
        self._resolver = resolver
        self._admission = admission
        self._loop_guard = loop_guard
        self._local_networks = local_networks
        self._limits = limits
        self._monotonic = monotonic

    @property
    def targets(self) -> Targets:
        """The named targets."""
        return self._targets

    @targets.setter
    def targets(self, targets: Targets) -> None:
        self._targets = targets
        #: Made at the first use, and again for new targets, whose authorities may have changed.
        self._tls_contexts: dict[TLSTrust, Context] = {}

    async def dial(
        self,
        target: Wanted | NamedTarget,
        build: Callable[[], P],
        *,
        client: str,
        timeout_seconds: float | None = None,
        trace: DialTrace | None = None,
        client_connection: ClientConnection | None = None,
    ) -> Dialed[P]:
        """Open a connection to ``target``. Cancelling gives the attempt up.

        Args:
            target: host and port, the name or the token of a target, or a target that was looked up.
            build: makes the protocol, once a connection is open, for a TLS target once the handshake is done.
            client: the client's key, as counted.
            timeout_seconds: for look-up and connection each; None means the time limits of ``limits``.
            trace: notes how far the dial came, also if it fails.
            client_connection: for the PROXY header; None means that the gateway connects for itself.

        Returns:
            The open connection.

        Raises:
            UnknownTarget: there is no target with this name.
            Blocked: the policy refuses the target, or one of its addresses, or it is the gateway itself.
            TargetBusy: each address of it has too many connections, or gets new ones too fast.
            NameNotFound: the host name has no address.
            NameTimedOut: the look-up took longer than its limit.
            Refused: the target refused the connection.
            ConnectTimedOut: the target did not answer within the time limit, a TLS handshake included.
            TLSFailed: the TLS handshake failed, or the certificate is not valid.
            Unreachable: the network or the operating system rejected the connection.
        """
        named = self._targets.named(target)
        target = named.name if named else cast(Target, target)
        place = named.place if named else cast(Target, target)
        trace = trace or DialTrace()
        endpoints = await self._endpoints(place, named, client, timeout_seconds, trace)
        seconds = timeout_seconds or self._limits.connect_timeout_seconds
        port = place.port if isinstance(place, Target) else 0
        shown = str(target) if named else None
        trust = named.tls if named else None
        race: Race[Any] = Race(
            self._reactor,
            judged=frozenset(endpoints),
            port=port,
            enter=lambda endpoint: self._admission.enter_target(
                _key(endpoint, port), client=client, shown=shown
            ),
            build=Protocol if trust else build,
            monotonic=self._monotonic,
        )

        trace.dials(endpoints[0], port)
        started, ends_at = self._monotonic(), self._reactor.seconds() + seconds
        try:
            dialed = await race.run(endpoints[:MAX_ATTEMPTS], timeout_seconds=seconds)
            trace.dials(dialed.address, port)
            if self.proxy_rules:
                led = Destination(target=target, place=place, endpoint=dialed.address)
                header = header_for(self.proxy_rules, led, client_connection, self._local_networks())
                dialed.protocol.transport.write(header)
            if named and trust:
                starting = Deferred.fromCoroutine(self._start_tls(named, trust, dialed, build, trace))
                dialed = await starting.addTimeout(max(0.0, ends_at - self._reactor.seconds()), self._reactor)
            trace.rtt_ms = dialed.rtt_ms
            return dialed
        except error.ConnectionRefusedError:
            raise Refused(f"{target} refused the connection") from None
        except (error.TimeoutError, error.TCPTimedOutError, TimeoutError):
            raise ConnectTimedOut(f"{target} did not answer within {seconds:g} s") from None
        except error.ConnectError as problem:
            if isinstance(problem.args[0], Failure):
                # Twisted's way to say that the backlog of a UNIX socket is full.
                raise TargetBusy(f"{target} accepts no more connections at the moment") from None
            detail = problem.args[0] or problem.__doc__
            raise Unreachable(f"{target} can't be reached ({detail})") from None
        except OSError as problem:
            # Twisted raises this for a UNIX socket if there are no descriptors left.
            raise Unreachable(f"{target} can't be reached ({problem.strerror})") from None
        finally:
            trace.dial_seconds = self._monotonic() - started

    async def _start_tls(
        self,
        named: NamedTarget,
        trust: TLSTrust,
        dialed: Dialed[Any],
        build: Callable[[], P],
        trace: DialTrace,
    ) -> Dialed[P]:
        server, transport = cast(Target, named.place), dialed.protocol.transport
        try:
            context = self._tls_contexts.get(trust)
            if context is None:
                context = self._tls_contexts[trust] = make_context(trust)
            protocol = await start_tls(transport, server, context, build, reactor=self._reactor)
            return replace(dialed, protocol=protocol)
        except BaseException as problem:
            dialed.lease.release()
            why = tls_problem(problem)
            if why is None:
                raise
            trace.rule = printable(f"{why}: {problem!r}", MOST_REASON)
            raise TLSFailed(f"{named.name}: {why}") from None

    async def _endpoints(
        self,
        place: Target | PurePosixPath,
        named: NamedTarget | None,
        client: str,
        timeout_seconds: float | None,
        trace: DialTrace,
    ) -> Sequence[Endpoint]:
        """Return what may be dialled for a target: all of it, or nothing."""
        itself = Blocked(f"{named.name if named else place} is this gateway itself")
        if isinstance(place, PurePosixPath):
            if self._loop_guard.includes_path(str(place)):
                raise itself
            return (place,)
        judge = self.policy.judge_named if named else self.policy.judge
        verdict = judge(place, self._local_networks())
        addresses: Sequence[Address] = () if place.address is None else (place.address,)
        if isinstance(verdict, Undecided):
            shown = str(named.name) if named else place.host
            started = self._monotonic()
            try:
                addresses = await self._resolve(place.host, client, timeout_seconds, shown)
            finally:
                trace.look_up_seconds = self._monotonic() - started
            verdict = verdict.resolved_to(addresses)
        trace.rule = verdict.reason
        if not verdict.allowed:
            if named is None:
                raise Blocked(verdict.reason)
            raise Blocked(f"{named.name} is blocked by the policy of this gateway")
        # Counted, compared with our own listeners and dialled under one spelling.
        addresses = list(dict.fromkeys(map(destination, addresses)))
        if any(self._loop_guard.include(address, place.port) for address in addresses):
            raise itself
        return addresses

    async def _resolve(
        self, host: str, client: str, timeout_seconds: float | None, shown: str
    ) -> Sequence[Address]:
        limit = self._limits.dns_timeout_seconds
        seconds = min(limit, timeout_seconds or limit)
        try:
            answer = self._resolver.resolve(host, client=client)
            addresses = interleave(await answer.addTimeout(seconds, self._reactor))
        except TimeoutError:
            raise NameTimedOut(f"{shown} was not resolved within {seconds:g} s") from None
        except (OSError, UnicodeError):
            raise NameNotFound(f"{shown} has no address") from None
        if not addresses:
            raise NameNotFound(f"{shown} has no address")
        return addresses


def _key(endpoint: Endpoint, port: int) -> str:
    """Return the key by which connections are counted: it is the same for all names."""
    return f"unix:{endpoint}" if isinstance(endpoint, PurePosixPath) else str(Target(str(endpoint), port))

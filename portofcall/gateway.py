"""One gateway, put together: what `portofcall.service` runs, and what applications embed."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.web.resource import IResource, Resource

from portofcall.access.authenticator import Authenticator, Credentials
from portofcall.access.callers import Callers
from portofcall.access.gatekeeper import AccessRules, Gatekeeper
from portofcall.egress.dialer import Dialer
from portofcall.egress.interfaces import Interfaces
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.loop_guard import LoopGuard
from portofcall.egress.named_target import Targets
from portofcall.egress.policy import DEFAULT_ALLOW, Policy
from portofcall.egress.proxy_rules import ProxyRule
from portofcall.egress.resolver import Resolver, ThreadedResolver
from portofcall.events import LimitReached, Observer
from portofcall.limits.admission import Admission
from portofcall.limits.fair_eviction import FairEviction
from portofcall.limits.values import Limits
from portofcall.log.gateway_log import GatewayLog
from portofcall.log.observers import Observers
from portofcall.recheck import Recheck
from portofcall.relay.readiness import Readiness
from portofcall.sessions import Sessions
from portofcall.web.connection_state import ConnectionState
from portofcall.web.dialects.dialect import Dialect
from portofcall.web.dialects.own import OwnDialect
from portofcall.web.handshakes import Handshakes
from portofcall.web.records import Records
from portofcall.web.root import make_root
from portofcall.web.server import GatewaySite
from portofcall.web.shown_targets import Suggestion
from portofcall.web.static_files import FOLDER, read_files
from portofcall.web.upgrade import TunnelResource
from portofcall.websocket.end import WebSocketFactory
from portofcall.websocket.turns import Turns


class Gateway:
    """A gateway.

    Serve it in one of three ways: `site` makes a factory for an endpoint, `resource` the page and the API for
    an existing resource tree, `tunnel_resource` the tunnel alone. Call `shut_down` before the process ends,
    or its tunnels are cut instead of drained.

    Args:
        reactor: opens connections and keeps time.
        policy: where clients may go; None means every public address, with ``targets`` nothing but those.
        targets: the targets that have a name; None means none.
        limits: sizes, numbers and time limits; None means the defaults.
        rules: allowed origins and trusted proxies; None means the gateway's own origin, and no proxies.
        credentials: what authenticates clients; None means no authentication.
        resolver: resolves host names; None means the operating system.
        local_networks: returns this machine's networks, which are never ``public``; None means those of its
            interfaces.
        wall_clock: returns the time for tickets, in seconds since 1970.
        monotonic: a clock in seconds that never jumps.
        ready_when_full: whether ``/readyz`` still says yes while all of ``max_tunnels`` are in use.
        proxy_rules: which targets get the client's address, by the PROXY protocol.

    Attributes:
        admission: counts what is in use: ``admission.used`` tunnels and probes.
        sessions: the tunnels that have not ended, also those that are being opened or closed.
        loop_guard: where the gateway listens. Call ``loop_guard.add(host, port)`` for each listener, so that
            no client can make the gateway dial itself.
        accepting: whether load balancers are to send new clients here. It is cleared as soon as the end of
            the process is known, and only `drain` refuses clients that come all the same.
        log_levels: how much is logged about clients.
        suggestions: what the page suggests to connect to.
        handshakes: counts and reports the TLS handshakes of listeners.
        records: reports the outcome of requests; for resources of your own in `site`.
        turns: the budget of each turn of the reactor, for other sites of the process.
        recheck: call it to have `policy` and `targets` judge open tunnels as well, see `Recheck`.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        policy: Policy | None = None,
        targets: Targets | None = None,
        limits: Limits | None = None,
        rules: AccessRules | None = None,
        credentials: Credentials | None = None,
        resolver: Resolver | None = None,
        local_networks: Callable[[], LocalNetworks] | None = None,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        ready_when_full: bool = True,
        proxy_rules: Sequence[ProxyRule] = (),
    ) -> None:
        self.accepting = True
        self.loop_guard = LoopGuard()
        self.suggestions: Sequence[Suggestion] = ()
        self._reactor = reactor
        self._limits = limits or Limits()
        self._ready_when_full = ready_when_full
        self._own_resolver = (
            None if resolver else ThreadedResolver(reactor, per_client=self._limits.look_ups_per_client)
        )
        self._event_log = log = GatewayLog(self._limits, clock=reactor, now=monotonic)
        self.log_levels = log.levels
        self._observers = report = Observers(log)

        def limit_reached(limit: str, key: str) -> None:
            report(LimitReached(limit, key))

        self.admission = Admission(self._limits, now=monotonic, reached=limit_reached)
        credentials = credentials or Credentials()
        self._authenticator = Authenticator(credentials, wall_clock=wall_clock, monotonic=monotonic)
        rules = rules or AccessRules()
        self._callers = Callers(rules.trusted, monotonic=monotonic)
        self.records = Records(self._callers, report=report, monotonic=monotonic)
        self._gatekeeper = Gatekeeper(rules, self._authenticator, self.admission, self._callers)
        self.handshakes = Handshakes(self._gatekeeper, self.records)
        local_networks = local_networks or Interfaces(monotonic=monotonic).networks
        self._dialer = Dialer(
            reactor,
            resolver=cast(Resolver, resolver or self._own_resolver),
            policy=policy or Policy.parse(default=DEFAULT_ALLOW if targets is None else ()),
            targets=Targets() if targets is None else targets,
            admission=self.admission,
            loop_guard=self.loop_guard,
            local_networks=local_networks,
            limits=self._limits,
            monotonic=monotonic,
        )
        self._dialer.proxy_rules = proxy_rules
        self.turns = Turns(reactor)
        self._waiting = FairEviction[ConnectionState](
            self._limits.max_waiting, evicted=partial(limit_reached, "max_waiting")
        )
        self._readiness = Readiness(reactor)
        self.sessions = Sessions(
            self._dialer,
            limits=self._limits,
            clock=reactor,
            readiness=self._readiness,
            monotonic=monotonic,
            report=report,
            tracer=log.tracer,
        )
        self.recheck = Recheck(self.sessions, self._dialer, local_networks=local_networks, clock=reactor)

    @property
    def policy(self) -> Policy:
        """Where clients may go. May be replaced at any time; open tunnels stay open, see `recheck`."""
        return self._dialer.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._dialer.policy = policy

    @property
    def targets(self) -> Targets:
        """The named targets. May be replaced at any time; open tunnels stay open."""
        return self._dialer.targets

    @targets.setter
    def targets(self, targets: Targets) -> None:
        self._dialer.targets = targets

    def observe(self, observer: Observer) -> None:
        """Call ``observer`` with each event (`portofcall.events`) from now on.

        Args:
            observer: is called at once, in the reactor's thread; what it raises is logged.
        """
        self._observers.add(observer)

    @property
    def credentials(self) -> Credentials:
        """What authenticates clients. May be replaced at any time; open tunnels stay open."""
        return self._authenticator.credentials

    @credentials.setter
    def credentials(self, credentials: Credentials) -> None:
        self._authenticator.credentials = credentials

    def tunnel_resource(self, dialect: Dialect | None = None) -> IResource:
        """Make a leaf for tunnels; without a dialect in the gateway's own, with ``?host=H&port=P``."""
        factory = WebSocketFactory(limits=self._limits, reactor=self._reactor, readiness=self._readiness)
        tunnel = dialect or OwnDialect(), self.records, self._gatekeeper, self.sessions, factory
        return cast(IResource, TunnelResource(*tunnel))

    def resource(self, *, page: bool = True) -> Resource:
        """Make the whole tree, for any place in a resource tree; `portofcall.web.root` has its paths.

        Args:
            page: whether browsers get the page at ``/``, with its files below ``/static/``.
        """
        return make_root(
            self.tunnel_resource,
            records=self.records,
            gatekeeper=self._gatekeeper,
            dialer=self._dialer,
            limits=self._limits,
            clock=self._reactor,
            not_ready=self.not_ready,
            suggestions=lambda: self.suggestions,
            page_files=read_files(FOLDER) if page else None,
        )

    def not_ready(self) -> str:
        """Return why clients should be sent elsewhere; empty if they need not be."""
        if not self.accepting:
            return "draining"
        most = self._limits.max_tunnels
        return "full" if most and self.admission.used >= most and not self._ready_when_full else ""

    def site(self, *, page: bool = True, root: Resource | None = None) -> GatewaySite:
        """Make a protocol factory that serves the whole tree: ``endpoint.listen(gateway.site())``.

        Args:
            page: as for `resource`.
            root: the tree to serve, made of that; None means that one itself.
        """
        site = GatewaySite(
            root or self.resource(page=page),
            limits=self._limits,
            reactor=self._reactor,
            turns=self.turns,
            waiting=self._waiting,
            count=self._gatekeeper.count,
            records=self.records,
        )
        site.draining = lambda: self.draining
        return site

    @property
    def draining(self) -> bool:
        """Whether new requests are refused with 503, because the gateway is shutting down."""
        return self._gatekeeper.draining

    def drain(self) -> None:
        """Refuse new requests with 503 from now on. Open tunnels stay open."""
        self.accepting = False
        self._gatekeeper.draining = True

    def shut_down(self) -> Deferred[None]:
        """Refuse new requests, and close each tunnel with 1001 once what is queued has been delivered.

        Returns:
            A Deferred that fires when the last tunnel is closed. A peer that acknowledges nothing for the
            limits' ``close_stall_seconds`` is cut.
        """
        self.drain()
        if self._own_resolver is not None:
            self._own_resolver.stop()
        return self.sessions.shut_down().addCallback(lambda _: self._event_log.flush())

    def abort(self) -> None:
        """Reset the connections of all tunnels, so that `shut_down` is over at once."""
        self.sessions.abort()

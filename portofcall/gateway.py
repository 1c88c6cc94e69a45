"""One gateway, put together: what `portofcall.service` runs, and what a Twisted deployment embeds."""

import time
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource

from portofcall.access.authenticator import Authenticator, Credentials
from portofcall.access.gatekeeper import AccessRules, Gatekeeper
from portofcall.egress.dialer import Dialer
from portofcall.egress.interfaces import Interfaces
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.loop_guard import LoopGuard
from portofcall.egress.policy import Policy
from portofcall.egress.resolver import Resolver, ThreadedResolver
from portofcall.limits.admission import Admission
from portofcall.limits.limit_warnings import LimitWarnings
from portofcall.limits.values import Limits
from portofcall.relay.direct_read import Readiness
from portofcall.sessions import Sessions
from portofcall.web.root import make_root
from portofcall.web.server import GatewaySite
from portofcall.web.upgrade import TunnelResource
from portofcall.websocket.end import WebSocketFactory


class Gateway:
    """Everything that one gateway is made of.

    Offer it in one of three ways: `site` is a factory to listen with, `resource` is the whole API for a place
    in a resource tree that is there already, `tunnel_resource` is only the tunnel. Call `shut_down` at the
    end, so that tunnels are drained and not cut.

    Args:
        reactor: opens connections and keeps time.
        policy: where clients may go; None means every public address.
        limits: sizes, numbers and time limits; None means the defaults.
        rules: which pages may ask, and which proxies are believed; None means the gateway's own and none.
        credentials: what authenticates clients; None means no authentication.
        resolver: turns names into addresses; None means the operating system's.
        local_networks: returns this machine's networks, which are never ``public``; None means those of its
            interfaces.
        wall_clock: the time in seconds since 1970, for tickets.
        monotonic: a clock in seconds that never jumps.

    Attributes:
        admission: counts what is in use.
        loop_guard: where the gateway listens, so that nobody makes it dial itself. Add each address that you
            listen on yourself.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        rules: AccessRules | None = None,
        credentials: Credentials | None = None,
        resolver: Resolver | None = None,
        local_networks: Callable[[], LocalNetworks] | None = None,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.loop_guard = LoopGuard()
        self._reactor = reactor
        self._limits = limits or Limits()
        self._own_resolver = (
            None if resolver else ThreadedResolver(reactor, per_client=self._limits.look_ups_per_client)
        )
        warnings = LimitWarnings(
            self._limits, now=monotonic, warn=lambda line: self._log.warn("{line}", line=line)
        )
        self.admission = Admission(self._limits, now=monotonic, reached=warnings.reached)
        authenticator = Authenticator(
            credentials or Credentials(), wall_clock=wall_clock, monotonic=monotonic
        )
        self._gatekeeper = Gatekeeper(rules or AccessRules(), authenticator, self.admission)
        self._dialer = Dialer(
            reactor,
            resolver=cast(Resolver, resolver or self._own_resolver),
            policy=policy or Policy.parse(),
            admission=self.admission,
            loop_guard=self.loop_guard,
            local_networks=local_networks or Interfaces(monotonic=monotonic).networks,
            limits=self._limits,
            monotonic=monotonic,
        )
        self._readiness = Readiness(reactor)
        self._sessions = Sessions(self._dialer, limits=self._limits, clock=reactor, readiness=self._readiness)

    @property
    def policy(self) -> Policy:
        """Where clients may go. May be replaced at any time; open tunnels stay open."""
        return self._dialer.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._dialer.policy = policy

    def tunnel_resource(self) -> IResource:
        """Make the resource of the tunnel alone: a leaf that takes ``?host=H&port=P``."""
        factory = WebSocketFactory(limits=self._limits, reactor=self._reactor, readiness=self._readiness)
        return cast(IResource, TunnelResource(self._gatekeeper, self._sessions, factory))

    def resource(self) -> Resource:
        """Make the whole tree: ``/`` and ``/api/``."""
        return make_root(
            self.tunnel_resource(),
            gatekeeper=self._gatekeeper,
            dialer=self._dialer,
            limits=self._limits,
            clock=self._reactor,
        )

    def site(self) -> GatewaySite:
        """Make a protocol factory that serves the whole tree: ``endpoint.listen(gateway.site())``."""
        return GatewaySite(self.resource(), limits=self._limits, reactor=self._reactor)

    def shut_down(self) -> Deferred[None]:
        """Let nobody in any more, and end all tunnels with Close 1001 once what is queued has been delivered.

        Returns:
            A Deferred that fires when the last one is closed. A peer that does not read holds it up for as
            long as the limits say.
        """
        self._gatekeeper.draining = True
        if self._own_resolver is not None:
            self._own_resolver.stop()
        return self._sessions.shut_down()

"""A gateway, put together: for `portofcall.service`, and for whoever has a Twisted deployment already."""

import time
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.web.resource import IResource, Resource

from portofcall.admission import Admission
from portofcall.credentials import Credentials
from portofcall.dial import Dialer
from portofcall.egress import Policy
from portofcall.entrance import AccessRules, Entrance
from portofcall.limits import Limits
from portofcall.own import OwnAddresses
from portofcall.readnow import Readiness
from portofcall.resolve import Resolver, ThreadedResolver
from portofcall.site import GatewaySite
from portofcall.tunnels import Tunnels
from portofcall.upgrade import TunnelResource
from portofcall.web import make_root
from portofcall.websocket import WebSocketFactory


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
        credentials: what proves who asks; None means that nobody has to.
        resolver: turns names into addresses; None means the operating system's.
        monotonic: a clock in seconds that never jumps.

    Attributes:
        admission: counts what is in use.
        own: where the gateway listens, so that nobody makes it dial itself. Add the addresses that you listen
            on by yourself.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        rules: AccessRules | None = None,
        credentials: Credentials | None = None,
        resolver: Resolver | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.own = OwnAddresses()
        self._reactor = reactor
        self._limits = limits or Limits()
        self._own_resolver = (
            None if resolver else ThreadedResolver(reactor, per_client=self._limits.look_ups_per_client)
        )
        self.admission = Admission(self._limits, now=monotonic)
        credentials = credentials or Credentials(wall_clock=time.time, monotonic=monotonic)
        self._entrance = Entrance(rules or AccessRules(), credentials, self.admission)
        self._dialer = Dialer(
            reactor,
            resolver=cast(Resolver, resolver or self._own_resolver),
            policy=policy or Policy.parse(),
            admission=self.admission,
            own=self.own,
            limits=self._limits,
            monotonic=monotonic,
        )
        self._readiness = Readiness(reactor)
        self._tunnels = Tunnels(self._dialer, limits=self._limits, clock=reactor, readiness=self._readiness)

    @property
    def policy(self) -> Policy:
        """Where clients may go. May be replaced at any time; open tunnels stay open."""
        return self._dialer.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._dialer.policy = policy

    def tunnel_resource(self) -> IResource:
        """Make the resource of the tunnel alone: a leaf that takes ``?host=H&port=P``."""
        factory = WebSocketFactory(
            self._tunnels, limits=self._limits, reactor=self._reactor, readiness=self._readiness
        )
        return cast(IResource, TunnelResource(self._entrance, factory))

    def resource(self) -> Resource:
        """Make the whole tree: ``/`` and ``/api/``."""
        return make_root(
            self.tunnel_resource(),
            entrance=self._entrance,
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
        self._entrance.draining = True
        if self._own_resolver is not None:
            self._own_resolver.stop()
        return self._tunnels.shut_down()

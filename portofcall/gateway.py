"""A gateway, put together: for `portofcall.service`, and for whoever has a Twisted deployment already."""

from time import monotonic
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.web.resource import IResource, Resource

from portofcall.dial import Dialer
from portofcall.egress import Policy
from portofcall.limits import Limits
from portofcall.resolve import Resolver, ThreadedResolver
from portofcall.upgrade import TunnelResource
from portofcall.web import GatewaySite, make_root
from portofcall.websocket import TunnelFactory


class Gateway:
    """Everything that one gateway is made of.

    Offer it in one of three ways: `site` is a factory to listen with, `resource` is the whole API for a place
    in a resource tree that is there already, `tunnel_resource` is only the tunnel. Call `shut_down` at the
    end, so that tunnels are drained and not cut.

    Args:
        reactor: opens connections and keeps time.
        policy: where clients may go; None means every public address.
        limits: sizes and time limits; None means the defaults.
        resolver: turns names into addresses; None means the operating system's.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._reactor = reactor
        self._limits = limits or Limits()
        self._own_resolver = None if resolver else ThreadedResolver(reactor)
        self._dialer = Dialer(
            reactor,
            resolver=cast(Resolver, resolver or self._own_resolver),
            policy=policy or Policy.parse(),
            limits=self._limits,
            monotonic=monotonic,
        )
        self._tunnels = TunnelFactory(self._dialer, limits=self._limits, reactor=reactor)

    @property
    def policy(self) -> Policy:
        """Where clients may go. May be replaced at any time; open tunnels stay open."""
        return self._dialer.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._dialer.policy = policy

    def tunnel_resource(self) -> IResource:
        """Make the resource of the tunnel alone: a leaf that takes ``?host=H&port=P``."""
        return cast(IResource, TunnelResource(self._tunnels))

    def resource(self) -> Resource:
        """Make the whole tree: ``/`` and ``/api/``."""
        return make_root(
            self.tunnel_resource(), dialer=self._dialer, limits=self._limits, clock=self._reactor
        )

    def site(self) -> GatewaySite:
        """Make a protocol factory that serves the whole tree: ``endpoint.listen(gateway.site())``."""
        return GatewaySite(self.resource(), limits=self._limits, reactor=self._reactor)

    def shut_down(self) -> Deferred[None]:
        """End all tunnels with Close 1001, once what is queued in them has been delivered.

        Returns:
            A Deferred that fires when the last one is closed. A peer that does not read holds it up for as
            long as the limits say.
        """
        if self._own_resolver is not None:
            self._own_resolver.stop()
        return self._tunnels.shut_down()

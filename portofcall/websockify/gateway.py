"""The gateway behind websockify's command line."""

from ipaddress import ip_network
from typing import Any, Final

from twisted.web.resource import IResource

from portofcall.access.gatekeeper import AccessRules
from portofcall.egress.named_target import Targets
from portofcall.egress.policy import Policy
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits, Rate
from portofcall.websockify.authentication import Authentication
from portofcall.websockify.front import GuardedFiles
from portofcall.websockify.upgrade import Begun, Choose, UpgradeResource, WebsockifyFactory

#: Proxies on this host may say where their clients are.
_TRUSTED: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def make_limits(*, heartbeat_seconds: int) -> Limits:
    """Return the limits.

    websockify has none. All the clients of a proxy that does not forward their addresses count as one, so
    those for one client, or target, are off or out of the way of pages with many files.

    Args:
        heartbeat_seconds: how often to ping idle clients; 0 means never.
    """
    return Limits(
        ping_interval_seconds=heartbeat_seconds,
        max_per_client=0,
        max_per_target=0,
        max_per_client_target=0,
        rate_per_client=Rate(0, 0),
        rate_per_target=Rate(0, 0),
        request_rate=Rate(1000, 4000),
    )


class WebsockifyGateway(Gateway):
    """A gateway whose clients reach what it was given, whichever page they come from.

    Args:
        reactor: opens connections and keeps time.
        limits: see `make_limits`.
        settings: others of `portofcall.gateway.Gateway`.
    """

    def __init__(self, reactor: Any, *, limits: Limits, **settings: Any) -> None:
        super().__init__(
            reactor,
            policy=Policy.parse(default=()),
            targets=Targets(),
            limits=limits,
            rules=AccessRules(trusted=_TRUSTED, any_origin=True),
            **settings,
        )

    def upgrade_resource(self, choose: Choose, begun: Begun) -> UpgradeResource:
        """Make the resource of tunnels.

        Args:
            choose: returns the target of a request.
            begun: is called with each tunnel.
        """
        factory = WebsockifyFactory(limits=self._limits, reactor=self._reactor, readiness=self._readiness)
        return UpgradeResource(
            self.records, self._gatekeeper, self.sessions, factory, choose=choose, begun=begun
        )

    def guarded_files(self, authentication: Authentication, files: IResource) -> GuardedFiles:
        """Make the resource of files for authenticated clients."""
        return GuardedFiles(self.records, authentication, files)

"""The gateway behind websockify's command line."""

from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from twisted.web.resource import IResource

from portofcall.access.gatekeeper import AccessRules
from portofcall.egress.named_target import NamedTarget, Targets
from portofcall.egress.policy import Policy
from portofcall.errors import UnknownTarget
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits, Rate
from portofcall.target import TargetName, Token, Wanted
from portofcall.websockify.authentication import Authentication
from portofcall.websockify.front import GuardedFiles
from portofcall.websockify.upgrade import Begun, Choose, UpgradeResource, WebsockifyFactory

#: Proxies on this host may say where their clients are.
_TRUSTED: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True, slots=True)
class FoundTarget(TargetName):
    """The name of a target that is known already: what it leads to is part of it.

    Attributes:
        target: what it leads to.
    """

    target: NamedTarget = field(kw_only=True)

    @classmethod
    def of(cls, target: NamedTarget) -> "FoundTarget":
        """Make the name of a target."""
        return cls(str(target.name), target=target)

    def __str__(self) -> str:
        """Return the name alone, as clients see it."""
        return self.name


class FoundTargets(Targets):
    """Targets that were found before they are asked for; there are no others."""

    def find(self, name: TargetName | Token) -> NamedTarget:
        """Return the target of a name.

        Raises:
            UnknownTarget: it is a name without a target.
        """
        if not isinstance(name, FoundTarget):
            raise UnknownTarget(f"there is no target {name}")
        return name.target

    def describe(self, target: Wanted | NamedTarget) -> str:
        """Write a target for the log, with what it leads to."""
        return str(target.target if isinstance(target, FoundTarget) else target)


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
            targets=FoundTargets(),
            limits=limits,
            rules=AccessRules(trusted=_TRUSTED, any_origin=True),
            **settings,
        )

    def upgrade_resource(self, choose: Choose, begun: Begun) -> UpgradeResource:
        """Make the resource of tunnels.

        Args:
            choose: returns the target of a request, as `FoundTarget`.
            begun: is called with each tunnel.
        """
        factory = WebsockifyFactory(limits=self._limits, reactor=self._reactor, readiness=self._readiness)
        return UpgradeResource(
            self.records, self._gatekeeper, self.sessions, factory, choose=choose, begun=begun
        )

    def guarded_files(self, authentication: Authentication, files: IResource) -> GuardedFiles:
        """Make the resource of files for authenticated clients."""
        return GuardedFiles(self.records, authentication, files)

"""The service, made from its settings. Wiring, nothing else."""

import socket
from math import inf
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.web.resource import IResource
from twisted.web.server import Request

from portofcall.descriptor_limit import affordable, descriptor_limit
from portofcall.events import Caller
from portofcall.log.levels import ALL, Level
from portofcall.relay.tunnel import Tunnel
from portofcall.service.drain import Drain
from portofcall.service.exposure import why_exposed
from portofcall.service.signals import Signals
from portofcall.target import TargetName
from portofcall.web.folder import WebFolder
from portofcall.websockify.front import Front
from portofcall.websockify.gateway import FoundTarget, WebsockifyGateway, make_limits
from portofcall.websockify.lifetime import Lifetime
from portofcall.websockify.output import Output
from portofcall.websockify.settings import Settings
from portofcall.websockify.sockets import Listening

_WAYS: Final = "--auth-plugin or --token-plugin, or 127.0.0.1: before the port to listen on loopback only"


class Root(MultiService):
    """The listener, the tunnels, and what ends them.

    Args:
        reactor: runs it.
        settings: what to do.
        opened: the listening socket.
        output: where lines go.
        gateway: settings of the gateway that are others than a process needs.

    Attributes:
        gateway: the gateway.
        site: what clients connect to.
    """

    def __init__(
        self, reactor: Any, settings: Settings, opened: socket.socket, output: Output, **gateway: Any
    ) -> None:
        super().__init__()
        args = settings.args
        limits = affordable(make_limits(heartbeat_seconds=args.heartbeat), descriptor_limit())
        self.gateway = made = WebsockifyGateway(reactor, limits=limits, **gateway)
        if args.verbose:
            made.log_levels.set(Level.DEBUG, client=ALL, seconds=inf)
        drain = Drain(reactor, made)
        drain.setServiceParent(self)
        self.site = made.site(root=self._root(reactor, settings))
        self._output = output
        self._authenticates = bool(args.auth_plugin or args.token_plugin)
        listening = self._listening = Listening(reactor, opened, self.site, made.loop_guard)
        listening.setServiceParent(drain)
        self._lifetime = Lifetime(
            reactor,
            made,
            stop_listening=listening.stopService,
            say=output.say,
            run_once=args.run_once,
            seconds=args.timeout,
            idle_seconds=args.idle_timeout,
        )
        self._lifetime.setServiceParent(self)
        self._signals = Signals(
            reactor,
            is_running=lambda: bool(self.running),
            end=drain.end,
            reload=_nothing_to_reload,
            reopen=None,
        )

    def startService(self) -> None:
        """Accept connections, and handle signals."""
        super().startService()
        self._signals.install()
        reason = why_exposed("", self._listening.address, ())
        if reason is not None and not self._authenticates:
            self._output.warn(f"{reason}, but no authentication is configured; add {_WAYS}")

    def _root(self, reactor: Any, settings: Settings) -> Front:
        files: IResource | None = None
        if settings.web is not None:
            files = WebFolder(
                settings.web,
                lists=not settings.args.file_only,
                records=self.gateway.records,
                admission=self.gateway.admission,
                clock=reactor,
            )
        assert settings.target is not None
        found = FoundTarget.of(settings.target)

        async def choose(request: Request, caller: Caller) -> TargetName:
            return found

        return Front(self.gateway.upgrade_resource(choose, self._begun), files)

    def _begun(self, tunnel: Tunnel) -> None:
        self._lifetime.tunnel_begun()


def _nothing_to_reload() -> None:
    """Do nothing: what websockify reads again, it reads at each connection."""

"""The service, made from its settings. Wiring, nothing else."""

import socket
from functools import partial
from math import inf
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.internet.interfaces import IProtocolFactory
from twisted.web.resource import IResource

from portofcall.descriptor_limit import affordable, descriptor_limit
from portofcall.egress.named_target import NamedTarget
from portofcall.events import Caller
from portofcall.limits.failure_backoff import FailureBackoff
from portofcall.log.levels import ALL, Level
from portofcall.relay.tunnel import Tunnel
from portofcall.service.drain import Drain
from portofcall.service.exposure import why_exposed
from portofcall.service.signals import Signals
from portofcall.service.tls import Contexts, TLSFactory
from portofcall.web.folder import WebFolder
from portofcall.websockify.authentication import Authentication
from portofcall.websockify.choice import Choice, Tokens
from portofcall.websockify.front import Front
from portofcall.websockify.gateway import WebsockifyGateway, make_limits
from portofcall.websockify.lifetime import Lifetime
from portofcall.websockify.output import Output
from portofcall.websockify.plugin_calls import PluginCalls
from portofcall.websockify.plugins import Plugins
from portofcall.websockify.recording import Recorder
from portofcall.websockify.settings import ListenUNIX, Settings
from portofcall.websockify.shared_port import SharedChannel
from portofcall.websockify.sockets import Listening
from portofcall.websockify.tls import RenewedTLS

_WAYS: Final = "--auth-plugin or --token-plugin, or 127.0.0.1: before the port to listen on loopback only"


class Root(MultiService):
    """The listener, the tunnels, and what ends them.

    Args:
        reactor: runs it.
        settings: what to do.
        opened: the listening socket.
        output: where lines go.
        plugins: what finds targets and authenticates clients.
        contexts: for TLS towards clients; None if there is none.
        gateway: settings of the gateway that are others than a process needs.

    Attributes:
        gateway: the gateway.
        site: what clients connect to.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        opened: socket.socket,
        output: Output,
        *,
        plugins: Plugins,
        contexts: Contexts | None,
        **gateway: Any,
    ) -> None:
        super().__init__()
        args = settings.args
        self._reactor = reactor
        limits = affordable(make_limits(heartbeat_seconds=args.heartbeat), descriptor_limit())
        self.gateway = made = WebsockifyGateway(reactor, limits=limits, **gateway)
        if args.verbose:
            made.log_levels.set(Level.DEBUG, client=ALL, seconds=inf)
        self._recorder = Recorder(settings.record, traffic=args.traffic)
        if self._recorder.is_needed:
            made.observe(self._recorder.happened)
        drain = Drain(reactor, made)
        drain.setServiceParent(self)
        root = self._root(settings, plugins)
        site = made.site(root=root)
        self.site: IProtocolFactory = site
        if contexts is not None:
            inside = made.site(root=root)
            secure = TLSFactory(
                RenewedTLS(contexts, args, reactor), inside, clock=reactor, handshakes=made.handshakes
            )
            if args.ssl_only:
                self.site = secure
            else:
                site.channel = partial(SharedChannel, tls=secure)
        self._output = output
        certified = args.verify_client and args.ssl_only
        self._authenticates = bool(args.auth_plugin or args.token_plugin or certified)
        listening = self._listening = Listening(
            reactor,
            opened,
            self.site,
            made.loop_guard,
            removes=settings.listen.path if isinstance(settings.listen, ListenUNIX) else None,
        )
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

    def _root(self, settings: Settings, plugins: Plugins) -> Front:
        args, now = settings.args, self._reactor.seconds
        calls = PluginCalls(self._reactor)
        authentication = None
        if plugins.auth is not None:
            authentication = Authentication(plugins.auth, calls, FailureBackoff(monotonic=now))
        target: NamedTarget | Tokens
        if plugins.token is None:
            assert settings.target is not None
            target = settings.target
        else:
            failures = FailureBackoff(monotonic=now)
            target = Tokens(plugins.token, calls, failures, in_host=args.host_token, tls=args.ssl_target)
        files: IResource | None = None
        if settings.web is not None:
            files = WebFolder(
                settings.web,
                lists=not args.file_only,
                records=self.gateway.records,
                admission=self.gateway.admission,
                clock=self._reactor,
            )
            if args.web_auth:
                assert authentication is not None
                files = self.gateway.guarded_files(authentication, files)
        return Front(self.gateway.upgrade_resource(Choice(target, authentication), self._begun), files)

    def _begun(self, tunnel: Tunnel, caller: Caller) -> None:
        if self._recorder.is_needed:
            self._recorder.watch(tunnel, caller)
        self._lifetime.tunnel_begun()


def _nothing_to_reload() -> None:
    """Do nothing: what websockify reads again, it reads at each connection."""

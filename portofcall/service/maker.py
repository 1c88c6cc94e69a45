"""The service of ``twistd portofcall``, made from its options. Wiring, nothing else."""

import dataclasses
import datetime
import resource
import time
from collections.abc import Callable, Sized
from typing import Any, cast

from twisted.application.service import IService, MultiService
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from portofcall.access.gatekeeper import AccessRules
from portofcall.egress.named_target import Targets
from portofcall.egress.policy import Policy
from portofcall.egress.policy_file import PolicyFileError
from portofcall.errors import printable
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits
from portofcall.service.demo import DemoBackends
from portofcall.service.drain import Drain
from portofcall.service.endpoint import has_own_tls, make_endpoint
from portofcall.service.listener import Listener, NotListening
from portofcall.service.option_warnings import option_warnings
from portofcall.service.options import Options
from portofcall.service.reload import Reload, Reloadable
from portofcall.service.tls import Contexts, ServerTLS, TLSFactory

__all__ = ["Options", "makeService"]

#: Shares of the file descriptors. A tunnel takes two, a waiting connection one, and some are left.
_TUNNELS_PER_DESCRIPTOR = 0.4
_WAITING_PER_DESCRIPTOR = 0.15


def makeService(options: Options, reactor: Any = None) -> IService:
    """Make a gateway that runs as a service.

    Args:
        options: parsed.
        reactor: None means the global reactor.

    Returns:
        A service that listens, and that drains its tunnels when it is stopped. Its start raises
        `portofcall.service.listener.NotListening` when it can't listen; under ``twistd -n`` the process exits
        with that one line. If an endpoint reports that later, the log has the line, and twistd stops.
    """
    if reactor is None:
        from twisted.internet import reactor  # noqa: PLC0415 - importing it earlier would install one
    limits = options.limits()
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors != resource.RLIM_INFINITY:
        limits = _affordable(limits, descriptors)
    trusted = tuple(options["trust-forwarded"])
    gateway = Gateway(
        reactor,
        policy=options.policy,
        targets=options.targets,
        limits=limits,
        rules=AccessRules(origins=frozenset(options["origin"]), trusted=trusted),
        credentials=options.credentials,
        ready_when_full=options["ready-when-full"] is not False,
    )
    service = _Root(reactor, options)
    Drain(reactor, gateway).setServiceParent(service)
    tls = None if options.tls is None else ServerTLS(options.tls, monotonic=time.monotonic)
    listeners = [
        _listener(text, options, gateway=gateway, tls=tls, reactor=reactor, failed=service.give_up)
        for text in options["listen"]
    ]
    for listener in listeners:
        listener.setServiceParent(service)
    reloadables: list[Reloadable[Any]] = []
    if options["policy"] is not None:
        reloadables.append(_reloadable_policy(options, gateway))
    if options.targets is not None:
        reloadables.append(_reloadable_targets(options, gateway))
    if tls is not None:
        reloadables.append(_reloadable_tls(options, tls))
    if reloadables:
        Reload(reactor, reloadables).setServiceParent(service)
    if options["demo"]:
        DemoBackends(reactor, gateway, listeners[0]).setServiceParent(service)
    return cast(IService, service)


def _affordable(limits: Limits, descriptors: int) -> Limits:
    """Reduce the limits to what the file descriptors allow. No limit, 0, stays none."""
    return dataclasses.replace(
        limits,
        max_waiting=_within(limits.max_waiting, descriptors * _WAITING_PER_DESCRIPTOR),
        max_tunnels=_within(limits.max_tunnels, descriptors * _TUNNELS_PER_DESCRIPTOR),
    )


def _within(limit: int, share: float) -> int:
    return limit and max(1, min(limit, int(share)))


def _listener(
    text: str,
    options: Options,
    *,
    gateway: Gateway,
    tls: ServerTLS | None,
    reactor: Any,
    failed: Callable[[NotListening], None],
) -> Listener:
    authenticates = options.credentials.required
    factory: IProtocolFactory = gateway.site()
    if has_own_tls(text):
        assert tls is not None
        authenticates = authenticates or options["tls-client-ca"] is not None
        factory = TLSFactory(tls, factory, clock=reactor, count=gateway.count_handshake)
    return Listener(
        text,
        make_endpoint(reactor, text),
        factory,
        loop_guard=gateway.loop_guard,
        may_be_exposed=bool(options["no-auth"]) or authenticates,
        trusted=tuple(options["trust-forwarded"]),
        failed=failed,
    )


def _reloadable_tls(options: Options, tls: ServerTLS) -> Reloadable[Contexts]:
    def use(contexts: Contexts) -> str:
        tls.use(contexts)
        warnings = contexts.material.warnings(datetime.datetime.now(datetime.UTC))
        return "; ".join([contexts.material.summary, *warnings])

    return Reloadable(name="TLS configuration", read=options.read_tls, use=use)


def _reloadable_policy(options: Options, gateway: Gateway) -> Reloadable[Policy]:
    def read() -> Policy:
        try:
            return options.read_policy()
        except PolicyFileError as problem:
            raise PolicyFileError(f"{printable(str(options['policy']))}: {problem}") from None

    def use(policy: Policy) -> str:
        gateway.policy = policy
        return f"{_count(policy.allow, 'allow rule')}, {_count(policy.deny, 'deny rule')}"

    return Reloadable(name="policy", read=read, use=use)


def _reloadable_targets(options: Options, gateway: Gateway) -> Reloadable[Targets]:
    def use(targets: Targets) -> str:
        gateway.targets = targets
        return _count(targets.by_name, "target")

    return Reloadable(name="target list", read=lambda: options.read_targets() or Targets(), use=use)


def _count(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


class _Root(MultiService):
    """The services together. Under twistd, one that can't listen ends the process with one line.

    Args:
        reactor: is stopped when that is known later only.
        options: parsed; their ``parent`` is twistd's, or None where some other process runs the service.
    """

    _log = Logger()

    def __init__(self, reactor: Any, options: Options) -> None:
        super().__init__()
        self._reactor = reactor
        self._options = options
        self._given_up = False

    def privilegedStartService(self) -> None:
        for line in option_warnings(self._options):
            self._log.warn("{line}", line=line)
        try:
            super().privilegedStartService()
        except NotListening as problem:
            if self._options.parent is None:
                raise
            if self._options.parent.get("nodaemon"):
                raise SystemExit(f"twistd portofcall: {problem}") from None
            # In the background, twistd shows the first 100 bytes of an exception, and nothing of an exit.
            self._log.critical("{problem}", problem=problem)
            raise

    def give_up(self, problem: NotListening) -> None:
        """Log the problem and stop the process, if it is twistd's."""
        self._log.critical("{problem}", problem=problem)
        if self._options.parent is not None and not self._given_up:
            self._given_up = True
            self._reactor.callWhenRunning(self._reactor.stop)

"""The service of ``twistd portofcall``, made from its options. Wiring, nothing else."""

import dataclasses
import resource
from typing import Any, cast

from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString

from portofcall.access.authenticator import Credentials
from portofcall.access.gatekeeper import AccessRules
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits
from portofcall.service.demo import DemoBackends
from portofcall.service.listener import Listener, NotListening
from portofcall.service.options import Options
from portofcall.service.policy_reload import PolicyReload

__all__ = ["Options", "makeService"]

#: Of the file descriptors: a tunnel takes two, a connection that waits takes one, and some are left.
_TUNNELS_PER_DESCRIPTOR = 0.4
_WAITING_PER_DESCRIPTOR = 0.15


def makeService(options: Options, reactor: Any = None) -> IService:
    """Make a gateway that runs as a service.

    Args:
        options: parsed.
        reactor: None means the global one.

    Returns:
        A service that listens, and that drains its tunnels when it is stopped. To start it raises
        `portofcall.service.listener.NotListening` where it can't listen; under ``twistd -n`` that is one
        line, and the end.
    """
    if reactor is None:
        from twisted.internet import reactor  # noqa: PLC0415 - importing it earlier would install one
    limits = options.limits()
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors != resource.RLIM_INFINITY:
        limits = _bearable(limits, descriptors)
    credentials = Credentials(checkers=options["credCheckers"], ticket_key=options["ticket-key"])
    gateway = Gateway(
        reactor,
        policy=options.policy,
        limits=limits,
        rules=AccessRules(origins=frozenset(options["origin"]), trusted=tuple(options["trust-forwarded"])),
        credentials=credentials,
    )
    # A twistd in the background waits for its child to tell what is wrong, and an exit tells nothing.
    service = _Root(exits=bool(options.parent and options.parent.get("nodaemon")))
    _Drain(gateway).setServiceParent(service)
    listeners = [
        Listener(
            description,
            serverFromString(reactor, description),
            gateway.site(),
            loop_guard=gateway.loop_guard,
            open_to_all=bool(options["no-auth"]) or credentials.required,
        )
        for description in options["listen"]
    ]
    for listener in listeners:
        listener.setServiceParent(service)
    if options["policy"] is not None:
        source = PolicyReload(
            reactor,
            options.read_policy,
            lambda policy: setattr(gateway, "policy", policy),
            description=str(options["policy"]),
        )
        source.setServiceParent(service)
    if options["demo"]:
        DemoBackends(reactor, gateway, listeners[0]).setServiceParent(service)
    return cast(IService, service)


def _bearable(limits: Limits, descriptors: int) -> Limits:
    """Bound what takes file descriptors by how many there are."""
    waiting = max(1, min(limits.max_waiting, int(descriptors * _WAITING_PER_DESCRIPTOR)))
    tunnels = min(limits.max_tunnels, int(descriptors * _TUNNELS_PER_DESCRIPTOR))
    return dataclasses.replace(limits, max_waiting=waiting, max_tunnels=tunnels)


class _Root(MultiService):
    """The services together; if told so, ends the process with one line where one of them can't listen."""

    def __init__(self, *, exits: bool) -> None:
        super().__init__()
        self._exits = exits

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except NotListening as problem:
            if not self._exits:
                raise
            raise SystemExit(f"twistd portofcall: {problem}") from None


class _Drain(Service):
    """Ends the tunnels when the service stops."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return self._gateway.shut_down()

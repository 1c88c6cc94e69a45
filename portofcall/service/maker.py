"""The service of ``twistd portofcall``, made from its options. Wiring, nothing else."""

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet.interfaces import IProtocolFactory

from portofcall.access.gatekeeper import AccessRules
from portofcall.descriptor_limit import affordable, descriptor_limit, raise_limit
from portofcall.gateway import Gateway
from portofcall.service.demo import DemoBackends
from portofcall.service.drain import Drain
from portofcall.service.endpoint import has_own_tls, make_endpoint
from portofcall.service.listener import Listener, NotListening
from portofcall.service.options import Options
from portofcall.service.reload import Reload
from portofcall.service.reloadables import reloadables
from portofcall.service.root import Root
from portofcall.service.start_line import start_line
from portofcall.service.tls import ServerTLS, TLSFactory

__all__ = ["Options", "makeService"]


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
    if options.parent is not None:
        raise_limit(reactor)
    descriptors = descriptor_limit()
    limits = affordable(options.limits(), descriptors)
    trusted = tuple(options["trust-forwarded"])
    gateway = Gateway(
        reactor,
        policy=options.policy,
        targets=options.targets,
        limits=limits,
        rules=AccessRules(origins=frozenset(options["origin"]), trusted=trusted),
        credentials=options.credentials,
        ready_when_full=options["ready-when-full"] is not False,
        proxy_rules=tuple(options["send-proxy"]),
    )
    drain = Drain(
        reactor,
        gateway,
        delay_seconds=options["drain-delay"] or 0,
        drain_seconds=options["drain"] or 0,
    )
    tls = None if options.tls is None else ServerTLS(options.tls, monotonic=time.monotonic)
    reload = Reload(list(reloadables(options, gateway, tls)))
    service = Root(reactor, options, drain=drain, reload=reload)
    listeners = [
        _listener(text, options, gateway=gateway, tls=tls, reactor=reactor, failed=service.give_up)
        for text in options["listen"]
    ]
    for listener in listeners:
        listener.setServiceParent(drain)
    admin = None
    if options["admin"] is not None:
        from portofcall.service.admin import AdminService  # noqa: PLC0415 - needs an extra dependency

        operator = AdminService(
            reactor, options, gateway=gateway, tls=tls, reload=reload, drain=drain, failed=service.give_up
        )
        operator.setServiceParent(service)
        admin = operator.listener
    service.describe = lambda: start_line(
        options, gateway, listeners, limits=limits, descriptors=descriptors, admin=admin
    )
    if options["demo"]:
        DemoBackends(reactor, gateway, listeners[0]).setServiceParent(service)
    return cast(IService, service)


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
    root = gateway.resource()
    if options["web"] is not None:
        from portofcall.web.folder import WebFolder, with_folder  # noqa: PLC0415 - few need it

        folder = WebFolder(
            options["web"],
            lists=bool(options["web-listing"]),
            records=gateway.records,
            admission=gateway.admission,
            clock=reactor,
        )
        root = with_folder(root, folder)
    site = gateway.site(root=root)
    factory: IProtocolFactory = site
    names: Sequence[str] = ()
    if has_own_tls(text):
        assert tls is not None
        authenticates = authenticates or options["tls-client-ca"] is not None
        names = tls.names
        factory = TLSFactory(tls, site, clock=reactor, handshakes=gateway.handshakes)
    return Listener(
        text,
        make_endpoint(reactor, text),
        factory,
        loop_guard=gateway.loop_guard,
        may_be_exposed=bool(options["no-auth"]) or authenticates,
        trusted=tuple(options["trust-forwarded"]),
        failed=failed,
        names=names,
    )

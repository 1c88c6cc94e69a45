"""The admin listener as a service. This module is imported only where there is one."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred

from portofcall.access.authenticator import Credentials
from portofcall.admin.counts import WAIT_SECONDS, EventCounts, Histogram
from portofcall.admin.event_loop_lag import EventLoopLag
from portofcall.admin.metrics import Metrics, Sources
from portofcall.admin.site import AdminSite, make_admin_site
from portofcall.errors import printable
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits
from portofcall.service.drain import Drain
from portofcall.service.endpoint import has_own_tls, make_endpoint
from portofcall.service.limit_options import LIMIT_OPTIONS
from portofcall.service.listener import Listener, NotListening
from portofcall.service.options import Options
from portofcall.service.reload import Reload
from portofcall.service.tls import ServerTLS, TLSFactory

#: Limits that refuse something when they are reached. Those of sizes and times have slugs of their own.
_REFUSING = ("COUNT", "RATE")
#: The most connections to the admin listener that wait for their clients: few, as each takes a descriptor.
_MOST_WAITING: Final = 100


class AdminService(MultiService):
    """Listens for the operator, until the last tunnel is closed.

    Args:
        reactor: for the listener and the time.
        options: parsed, with ``--admin``.
        gateway: what is shown and changed.
        tls: for a tls+ endpoint; None without one.
        reload: knows whether the last reload succeeded.
        drain: is waited for.
        failed: see `Listener`.

    Attributes:
        listener: where it listens.
    """

    def __init__(
        self,
        reactor: Any,
        options: Options,
        *,
        gateway: Gateway,
        tls: ServerTLS | None,
        reload: Reload,
        drain: Drain,
        failed: Callable[[NotListening], None],
    ) -> None:
        super().__init__()
        self._drain = drain
        counts = EventCounts(option.name for option in LIMIT_OPTIONS if option.metavar in _REFUSING)
        gateway.observe(counts)
        lag = Histogram(WAIT_SECONDS)
        self._lag = EventLoopLag(reactor, lag.observe)
        metrics = Metrics(
            Sources(
                counts=counts,
                lag=lag,
                tunnels=lambda: len(gateway.sessions),
                downloads=lambda: gateway.admission.downloads,
                draining=lambda: not gateway.accepting,
                reloaded=lambda: reload.succeeded,
                certificates=lambda: {} if tls is None else _certificates(tls, options["tls-client-ca"]),
            )
        )
        credentials = Credentials(checkers=options["admin-auth"])
        self._site = site = make_admin_site(
            gateway,
            metrics=metrics.text,
            reactor=reactor,
            credentials=credentials,
            # Those of the options are for clients: with --max-tunnels 1 there would be one request at a time.
            limits=Limits(max_waiting=_MOST_WAITING),
            observe=counts,
            wall_clock=time.time,
            monotonic=time.monotonic,
        )
        text = options["admin"]
        self.listener = Listener(
            text,
            make_endpoint(reactor, text),
            site.factory if tls is None or not has_own_tls(text) else _with_tls(tls, site, reactor),
            loop_guard=gateway.loop_guard,
            may_be_exposed=credentials.required,
            trusted=(),
            failed=failed,
            option="--admin",
            remedy="--admin-auth",
        )
        self.listener.setServiceParent(self)

    def startService(self) -> None:
        """Measure how late the event loop is, from now on."""
        super().startService()
        self._lag.start()

    async def _stop(self) -> None:
        await self._drain.when_stopped()
        self._lag.stop()
        await super().stopService()
        self._site.log.flush()

    def stopService(self) -> Deferred[None]:
        """Stop listening once the gateway is drained: until then, the operator wants to see how far it is."""
        return Deferred.fromCoroutine(self._stop())


def _with_tls(tls: ServerTLS, site: AdminSite, reactor: Any) -> TLSFactory:
    return TLSFactory(tls, site.factory, clock=reactor, handshakes=site.handshakes)


def _certificates(tls: ServerTLS, client_ca: Path | None) -> Mapping[str, float]:
    """Return the seconds until the first certificate of each file ends, intermediate ones included."""
    files = [(certificate.path, certificate.chain) for certificate in tls.material.certificates]
    if client_ca is not None:
        files.append((client_ca, tls.material.client_authorities))
    now, ends = time.time(), dict[str, float]()
    for path, chain in files:
        name = printable(str(path), 200)
        seconds = min(certificate.not_valid_after_utc.timestamp() for certificate in chain) - now
        ends[name] = min(seconds, ends.get(name, seconds))
    return ends

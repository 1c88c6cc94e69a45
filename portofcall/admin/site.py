"""The admin listener of a gateway, put together."""

from collections.abc import Callable
from functools import partial
from http.client import OK
from typing import Any, NamedTuple

from portofcall.access.authenticator import Authenticator, Credentials
from portofcall.access.callers import Callers
from portofcall.access.gatekeeper import AccessRules, Gatekeeper
from portofcall.admin.gate import AdminGate
from portofcall.admin.root import MetricsText, make_admin_root
from portofcall.events import Event, LimitReached, Observer, RequestServed
from portofcall.gateway import Gateway
from portofcall.limits.admission import Admission
from portofcall.limits.fair_eviction import FairEviction
from portofcall.limits.values import Limits
from portofcall.log.gateway_log import GatewayLog
from portofcall.log.observers import Observers
from portofcall.web.handshakes import Handshakes
from portofcall.web.records import Records
from portofcall.web.server import GatewaySite


class AdminSite(NamedTuple):
    """What serves an admin listener.

    Attributes:
        factory: the protocol factory.
        handshakes: counts and reports the TLS handshakes, if it has TLS.
        log: the log of its events; flush it at the end.
    """

    factory: GatewaySite
    handshakes: Handshakes
    log: GatewayLog


def make_admin_site(
    gateway: Gateway,
    *,
    metrics: MetricsText,
    reactor: Any,
    credentials: Credentials,
    limits: Limits,
    observe: Observer,
    wall_clock: Callable[[], float],
    monotonic: Callable[[], float],
) -> AdminSite:
    """Put together an admin listener's factory, handshakes and log.

    Only the turns of the reactor and the log levels are shared with the gateway's clients: neither users and
    passwords, nor rates, nor places of connections, so that a flood on the other listeners does not lock the
    operator out.

    Args:
        gateway: what is shown and changed.
        metrics: returns the text of ``/metrics``.
        reactor: keeps the time.
        credentials: what authenticates the operator.
        limits: those of requests, handshakes and connections.
        observe: is called with the listener's events; the gateway's observers do not get them.
        wall_clock: returns the time, in seconds since 1970.
        monotonic: a clock in seconds that never jumps; the gateway's.
    """
    authenticator = Authenticator(credentials, wall_clock=wall_clock, monotonic=monotonic)
    callers = Callers((), monotonic=monotonic)
    log = GatewayLog(
        limits, clock=reactor, now=monotonic, levels=gateway.log_levels, listener="the admin listener"
    )

    def log_what_matters(event: Event) -> None:
        """Log neither each scrape, nor each refresh of a table."""
        if not (isinstance(event, RequestServed) and event.method == "GET" and event.status == OK):
            log(event)

    report = Observers(log_what_matters)
    report.add(observe)

    def limit_reached(limit: str, key: str) -> None:
        report(LimitReached(limit, key))

    records = Records(callers, report=report, monotonic=monotonic)
    admission = Admission(limits, now=monotonic, reached=limit_reached)
    gatekeeper = Gatekeeper(AccessRules(), authenticator, admission, callers)
    gate = AdminGate(gatekeeper, records)
    root = make_admin_root(
        gate,
        gateway.sessions,
        gateway.log_levels,
        limits=limits,
        clock=reactor,
        monotonic=monotonic,
        metrics=metrics,
        not_ready=gateway.not_ready,
    )
    site = GatewaySite(
        root,
        limits=limits,
        reactor=reactor,
        turns=gateway.turns,
        waiting=FairEviction(limits.max_waiting, evicted=partial(limit_reached, "max_waiting")),
        count=gate.count,
        records=records,
    )
    return AdminSite(site, Handshakes(gatekeeper, records), log)

"""The admin listener of a gateway, put together."""

from collections.abc import Callable
from http.client import OK
from typing import Any

from portofcall.access.authenticator import Authenticator, Credentials
from portofcall.access.callers import Callers
from portofcall.access.gatekeeper import AccessRules, Gatekeeper
from portofcall.admin.gate import AdminGate
from portofcall.admin.root import MetricsText, make_admin_root
from portofcall.events import Event, RequestServed
from portofcall.gateway import Gateway
from portofcall.limits.admission import Admission
from portofcall.limits.values import Limits
from portofcall.log.gateway_log import GatewayLog
from portofcall.web.records import Records
from portofcall.web.server import GatewaySite


def make_admin_site(
    gateway: Gateway,
    *,
    metrics: MetricsText,
    reactor: Any,
    credentials: Credentials,
    limits: Limits,
    wall_clock: Callable[[], float],
    monotonic: Callable[[], float],
) -> GatewaySite:
    """Make the protocol factory of an admin listener.

    Nothing of it is shared with the gateway's clients: neither users and passwords, nor rates, so that a
    flood on the other listeners does not lock the operator out.

    Args:
        gateway: what is shown and changed.
        metrics: returns the text of ``/metrics``.
        reactor: keeps the time.
        credentials: what authenticates the operator.
        limits: the rates of requests, and of failed authentications.
        wall_clock: returns the time, in seconds since 1970.
        monotonic: a clock in seconds that never jumps; the gateway's.
    """
    authenticator = Authenticator(credentials, wall_clock=wall_clock, monotonic=monotonic)
    callers = Callers((), monotonic=monotonic)
    log = GatewayLog(limits, clock=reactor, now=monotonic)

    def report(event: Event) -> None:
        """Log what matters: neither each scrape, nor each refresh of a table."""
        if not (isinstance(event, RequestServed) and event.method == "GET" and event.status == OK):
            log(event)

    records = Records(callers, report=report, monotonic=monotonic)
    gatekeeper = Gatekeeper(AccessRules(), authenticator, Admission(limits, now=monotonic), callers)
    root = make_admin_root(
        AdminGate(gatekeeper, records),
        gateway.sessions,
        gateway.log_levels,
        limits=limits,
        clock=reactor,
        monotonic=monotonic,
        metrics=metrics,
        not_ready=gateway.not_ready,
    )
    return gateway.serve(root, count=gatekeeper.count, records=records)

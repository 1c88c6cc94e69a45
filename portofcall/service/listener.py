"""A service that listens on one endpoint, and refuses to be open to other machines by accident."""

import os
from collections.abc import Callable, Sequence
from typing import cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from portofcall.egress.loop_guard import LoopGuard
from portofcall.errors import printable
from portofcall.service.endpoint import has_own_tls, takes_proxy_header
from portofcall.service.exposure import why_exposed
from portofcall.service.url import is_wildcard, listener_url, tunnel_url
from portofcall.target import Network


class NotListening(Exception):
    """The service could not, or must not, listen. The message is one line that names the endpoint."""


class Listener(Service):
    """Listens on one endpoint while it runs.

    `twisted.application.internet.StreamServerEndpointService` goes on without a listener when the port is
    taken, unless a private attribute is set, and does not report the port that it got.

    Args:
        description: the endpoint as the operator wrote it, for the log.
        endpoint: where to listen.
        factory: serves the connections.
        loop_guard: gets the address while it listens.
        may_be_exposed: whether clients on other machines may reach it.
        trusted: the networks of proxies that are trusted with X-Forwarded-For.
        failed: is called with the problem when an endpoint that takes its time could not, or must not,
            listen. A problem that is known at once is raised by `privilegedStartService` instead.
        names: those of its certificate.
        option: the option that has the description.
        remedy: what to add where other machines must not reach it; None means what ``--listen`` needs.

    Attributes:
        url: its address for clients, see `portofcall.service.url.listener_url`. Empty while it does not
            listen.
    """

    _log = Logger()

    def __init__(
        self,
        description: str,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        *,
        loop_guard: LoopGuard,
        may_be_exposed: bool,
        trusted: Sequence[Network],
        failed: Callable[[NotListening], None],
        names: Sequence[str] = (),
        option: str = "--listen",
        remedy: str | None = None,
    ) -> None:
        self.url = ""
        self._description = description
        self._option = option
        self._remedy = remedy or _remedy(description)
        self._endpoint = endpoint
        self._factory = factory
        self._loop_guard = loop_guard
        self._may_be_exposed = may_be_exposed
        self._trusted = trusted
        self._failed = failed
        self._names = names
        self._port: IListeningPort | None = None
        #: Stands for one start of the service; None while it is stopped.
        self._start: object | None = None

    def privilegedStartService(self) -> None:
        """Listen, while there are privileges for low ports.

        Raises:
            NotListening: the address is taken or not local, or clients on other machines could reach it.
        """
        super().privilegedStartService()
        start = self._start = object()
        failures: list[Failure] = []
        listening: Deferred[IListeningPort] = maybeDeferred(self._endpoint.listen, self._factory)
        listening.addCallback(self._listens, start).addErrback(failures.append)
        if failures:
            self._start = None
            raise self._problem(failures[0])
        listening.addCallback(lambda _: self._report(failures, start))

    def startService(self) -> None:
        """Listen, unless `privilegedStartService` did."""
        super().startService()
        if self._start is None:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None]:
        """Stop listening; open connections stay open."""
        super().stopService()
        port, self._port = self._port, None
        self._start = None
        self.url = ""
        if port is None:
            return succeed(None)
        host = port.getHost()
        if isinstance(host, IPv4Address | IPv6Address):
            self._loop_guard.discard(host.host, host.port)
        elif isinstance(host, UNIXAddress) and host.name:
            self._loop_guard.discard_path(os.fsdecode(host.name))
        return _stop(port)

    def _report(self, failures: Sequence[Failure], start: object) -> None:
        if failures and start is self._start:
            self._failed(self._problem(failures[0]))

    def _problem(self, failure: Failure) -> NotListening:
        error = failure.value
        if isinstance(error, NotListening):
            return error
        if isinstance(error, CannotListenError):
            return NotListening(f"{self._option} {self._description}: {printable(str(error.socketError))}")
        # An endpoint plugin raises what it likes.
        reason = printable(f"{type(error).__name__}: {error}")
        problem = NotListening(f"{self._option} {self._description}: {reason}")
        problem.__cause__ = error
        return problem

    def _listens(self, port: IListeningPort, start: object) -> None:
        if start is not self._start:
            _stop(port)
            return
        host = port.getHost()
        reason = None if self._may_be_exposed else why_exposed(self._description, host, self._trusted)
        if reason is not None:
            _stop(port)
            raise NotListening(
                f"{self._option} {self._description}: {reason}, but no authentication is configured; "
                f"add {self._remedy}"
            )
        self._port = port
        self.url = listener_url(self._description, host, self._names)
        if isinstance(host, IPv4Address | IPv6Address):
            self._loop_guard.add(host.host, host.port)
        elif isinstance(host, UNIXAddress) and host.name:
            self._loop_guard.add_path(os.fsdecode(host.name))
        what = "listening" if self._option == "--listen" else f"{self._option}: listening"
        self._log.info("{what} on {url}{more}", what=what, url=self.url, more=self._more(host))

    def _more(self, host: IAddress) -> str:
        tunnels = tunnel_url(self.url) if self._option == "--listen" else ""
        more = [f"tunnels: {tunnels}"] if tunnels else []
        if is_wildcard(host):
            more.append("on all addresses of this machine")
        if takes_proxy_header(self._description):
            more.append("for proxies that send the PROXY protocol")
        return f" ({', '.join(more)})" if more else ""


def _remedy(description: str) -> str:
    ways = "--auth, --ticket-key or --tls-client-ca" if has_own_tls(description) else "--auth or --ticket-key"
    return f"{ways}, or --no-auth to allow this"


def _stop(port: IListeningPort) -> Deferred[None]:
    return maybeDeferred(cast("Callable[[], None]", port.stopListening))

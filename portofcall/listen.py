"""A service that listens, fails at once if it can't, and says where it can be reached."""

from collections.abc import Callable
from typing import cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure


class Listener(Service):
    """Listens on one endpoint while it runs.

    Twisted's own service for that goes on without a listener when the port is taken, unless a private
    attribute is set; and it does not tell which port it got.

    Args:
        description: the endpoint as the operator wrote it, for the log.
        endpoint: where to listen.
        factory: what to listen with.

    Attributes:
        url: where it can be reached, such as ``http://127.0.0.1:8080``; for an endpoint that is not TCP, its
            description. Empty while it does not listen.
    """

    _log = Logger()

    def __init__(self, description: str, endpoint: IStreamServerEndpoint, factory: IProtocolFactory) -> None:
        self.url = ""
        self._description = description
        self._endpoint = endpoint
        self._factory = factory
        self._port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """Listen, while there are privileges for low ports.

        Raises:
            CannotListenError: the address is taken, or not ours.
        """
        super().privilegedStartService()
        problems: list[Failure] = []
        listening: Deferred[IListeningPort] = maybeDeferred(self._endpoint.listen, self._factory)
        listening.addCallbacks(self._listens, problems.append)
        if problems:
            problems[0].raiseException()

    def startService(self) -> None:
        """Listen, unless `privilegedStartService` has seen to it."""
        super().startService()
        if self._port is None:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None]:
        """Stop listening; connections that are open stay open."""
        super().stopService()
        port, self._port = self._port, None
        self.url = ""
        if port is None:
            return succeed(None)
        return maybeDeferred(cast("Callable[[], None]", port.stopListening))

    def _listens(self, port: IListeningPort) -> None:
        self._port = port
        host = port.getHost()
        if isinstance(host, IPv4Address | IPv6Address):
            scheme = "https" if "ssl:" in self._description else "http"
            name = f"[{host.host}]" if isinstance(host, IPv6Address) else host.host
            self.url = f"{scheme}://{name}:{host.port}"
        else:
            self.url = self._description
        self._log.info("listening on {url}", url=self.url)

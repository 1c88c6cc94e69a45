"""A service that listens, fails at once if it can't, and says where it can be reached."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from portofcall.egress.loop_guard import LoopGuard


class NotListening(Exception):
    """The service could not, or must not, listen. The message is one line that names the endpoint."""


class Listener(Service):
    """Listens on one endpoint while it runs.

    Twisted's own service for that goes on without a listener when the port is taken, unless a private
    attribute is set; and it does not tell which port it got.

    Args:
        description: the endpoint as the operator wrote it, for the log.
        endpoint: where to listen.
        factory: what to listen with.
        loop_guard: learns where it listens.
        open_to_all: whether it may listen where others than this machine can connect.

    Attributes:
        url: where it can be reached, such as ``http://127.0.0.1:8080``; for an endpoint that is not TCP, its
            description. Empty while it does not listen.
    """

    _log = Logger()

    def __init__(
        self,
        description: str,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        *,
        loop_guard: LoopGuard,
        open_to_all: bool,
    ) -> None:
        self.url = ""
        self._description = description
        self._endpoint = endpoint
        self._factory = factory
        self._loop_guard = loop_guard
        self._open_to_all = open_to_all
        self._port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """Listen, while there are privileges for low ports.

        Raises:
            NotListening: the address is taken, or not ours, or others can reach it and must not.
        """
        super().privilegedStartService()
        problems: list[Failure] = []
        listening: Deferred[IListeningPort] = maybeDeferred(self._endpoint.listen, self._factory)
        listening.addCallbacks(self._listens, problems.append)
        if problems:
            self._fail(problems[0])
        if self._port is not None and not self._open_to_all and not _private(self._port.getHost()):
            self.stopService()
            raise NotListening(
                f"--listen {self._description}: others than this machine can connect there, and nothing "
                "proves who they are; give --auth or --ticket-key, or --no-auth if that is meant"
            )
        if self._port is not None:
            self._log.info("listening on {url}", url=self.url)

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
        host = port.getHost()
        if isinstance(host, IPv4Address | IPv6Address):
            self._loop_guard.discard(host.host, host.port)
        return maybeDeferred(cast("Callable[[], None]", port.stopListening))

    def _fail(self, problem: Failure) -> None:
        if problem.check(CannotListenError):
            error = cast(CannotListenError, problem.value)
            raise NotListening(f"--listen {self._description}: {error.socketError}") from None
        problem.raiseException()

    def _listens(self, port: IListeningPort) -> None:
        self._port = port
        host = port.getHost()
        if isinstance(host, IPv4Address | IPv6Address):
            scheme = "https" if "ssl:" in self._description else "http"
            name = f"[{host.host}]" if isinstance(host, IPv6Address) else host.host
            self.url = f"{scheme}://{name}:{host.port}"
            self._loop_guard.add(host.host, host.port)
        else:
            self.url = self._description


def _private(host: IAddress) -> bool:
    """Whether only this machine can connect there: by loopback, or by a Unix socket."""
    if isinstance(host, IPv4Address | IPv6Address):
        return ip_address(host.host.partition("%")[0]).is_loopback
    return True

"""Servers on loopback to try a gateway with: echo, discard and chargen."""

from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.wire import Chargen, Discard
from twisted.protocols.wire import Echo as TwistedEcho
from zope.interface import implementer

from portofcall.egress.policy import Policy
from portofcall.gateway import Gateway
from portofcall.service.listener import Listener
from portofcall.service.url import tunnel_url
from portofcall.web.shown_targets import Suggestion

LOOPBACK = "127.0.0.1"


@implementer(IHalfCloseableProtocol)
class Echo(TwistedEcho):
    """Echoes everything (RFC 862), also what is still under way at the client's FIN, and then closes.

    It reads no more while the client does not read.
    """

    transport: Any

    def connectionMade(self) -> None:
        """Pause the transport's reading while its writing is backed up."""
        self.transport.registerProducer(self.transport, True)

    def readConnectionLost(self) -> None:
        """Close after everything that was written."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Do nothing: `readConnectionLost` closes both directions at once."""


#: The servers, each with what it is good for.
_DEMOS = (
    (Echo, "sends back what you send"),
    (Discard, "reads everything and sends nothing"),
    (Chargen, "sends lines of text without end, as fast as you read them"),
)


class DemoBackends(Service):
    """Serves echo, discard and chargen on free ports of 127.0.0.1, and allows the gateway nothing else.

    Args:
        reactor: listens.
        gateway: its policy is replaced at the start.
        listener: has the gateway's URL, for the log. Start it before.
    """

    _log = Logger()

    def __init__(self, reactor: Any, gateway: Gateway, listener: Listener) -> None:
        self._reactor = reactor
        self._gateway = gateway
        self._listener = listener
        self._ports: dict[str, IListeningPort] = {}

    def startService(self) -> None:
        """Listen, allow these three, and log what to try."""
        super().startService()
        for protocol, _ in _DEMOS:
            factory = Factory.forProtocol(protocol)
            factory.noisy = False
            name = protocol.__name__.lower()
            self._ports[name] = self._reactor.listenTCP(0, factory, interface=LOOPBACK)
        numbers = {name: cast(IPv4Address, port.getHost()).port for name, port in self._ports.items()}
        self._gateway.policy = Policy.parse(allow=[f"{LOOPBACK}/32:{number}" for number in numbers.values()])
        self._gateway.suggestions = [
            Suggestion(name, LOOPBACK, number, description)
            for (name, number), (_, description) in zip(numbers.items(), _DEMOS, strict=True)
        ]
        base = tunnel_url(self._listener.url) or "ws://GATEWAY/api/connect"
        for name, number in numbers.items():
            self._log.info(
                "demo {name} on {host}:{number}, try {base}?host={host}&port={number}",
                name=name,
                host=LOOPBACK,
                number=number,
                base=base,
            )

    def stopService(self) -> Deferred[Any]:
        """Stop listening."""
        super().stopService()
        stopping = [maybeDeferred(port.stopListening) for port in self._ports.values()]
        self._ports.clear()
        return DeferredList(stopping)

"""Every undocumented part of Twisted that the gateway uses, named and checked at import.

Twisted documents what its transports and channels do. It does not document how to see what is queued in
them, how to notice the ends of a TLS stream, how to answer a request that its parser refuses, or how to parse
headers for it. Those of its TLS are used in `portofcall.twisted_tls`, all others here.
"""

from collections.abc import Iterable
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, cast

from twisted.internet import unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.tcp import Connection
from twisted.protocols.policies import WrappingFactory
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import _nameEncoder

from twisted import __version__

#: The names by class, each with a method of the class that has to use it.
USED: Final = MappingProxyType(
    {
        "twisted.internet.abstract.FileDescriptor": {
            "dataBuffer": "doWrite",
            "offset": "doWrite",
            "_tempDataLen": "write",
            "_writeDisconnected": "doWrite",
            "_writeDisconnecting": "doWrite",
            "_closeWriteConnection": "doWrite",
        },
        "twisted.protocols.tls.TLSMemoryBIOProtocol": {
            "_aborted": "_flushReceiveBIO",
            "_appSendBuffer": "makeConnection",
            "_flushSendBIO": "_flushReceiveBIO",
            "_handshakeDone": "dataReceived",
            "_lostTLSConnection": "_flushReceiveBIO",
            "_reason": "connectionLost",
            "_shutdownTLS": "loseConnection",
            "_tlsConnection": "makeConnection",
            "_tlsShutdownFinished": "_flushReceiveBIO",
            "_unbufferPendingWrites": "dataReceived",
        },
        "twisted.protocols.tls.BufferingTLSTransport": {"_aggregator": "loseConnection"},
        "twisted.protocols.tls.TLSMemoryBIOFactory": {"_creatorCallable": "__init__"},
        "twisted.protocols.tls._AggregateSmallWrites": {"_buffer": "flush"},
        "twisted.internet.unix.Port": {"_bindPath": "startListening"},
        "twisted.internet.posixbase.PosixReactorBase": {"_fromListeningDescriptor": "adoptStreamPort"},
        "twisted.internet.endpoints.SSL4ServerEndpoint": {"_sslContextFactory": "listen"},
        "twisted.internet.endpoints._WrapperServerEndpoint": {
            "_wrappedEndpoint": "listen",
            "_wrapperFactory": "listen",
        },
        "twisted.protocols.basic.LineReceiver": {"_buffer": "dataReceived"},
        "twisted.web.http.HTTPChannel": {"_respondToBadRequestAndDisconnect": "lineReceived"},
        "twisted.web.http_headers.Headers": {"_rawHeaders": "addRawHeader"},
        "twisted.web.http_headers._NameEncoder": {"_canonicalHeaderCache": "encode"},
    }
)

_EPOLL_REACTOR: Final = "twisted.internet.epollreactor.EPollReactor"


def check(owner: str, names: dict[str, str]) -> None:
    """Check that a class of Twisted's has all that is used of it here.

    Args:
        owner: the dotted name of the class.
        names: see `USED`.

    Raises:
        ImportError: it has not; the message names what is missing and Twisted's version.
    """
    module, _, kind = owner.rpartition(".")
    found = getattr(import_module(module), kind, None)
    for name, method in names.items():
        code = getattr(getattr(found, method, None), "__code__", None)
        if code is None or name not in code.co_names:
            raise ImportError(f"Twisted {__version__} has no {name} in {owner}.{method}; portofcall needs it")


for _owner, _names in USED.items():
    check(_owner, _names)


def queued_bytes(connection: Connection) -> int:
    """Return how much of what was written to a connection waits in it, in user space."""
    queue: Any = connection
    return int(len(queue.dataBuffer) - queue.offset + queue._tempDataLen)


def send_fin(connection: Connection) -> None:
    """Send FIN, where nothing waits in a connection: `loseWriteConnection` would watch the socket before."""
    state: Any = connection
    state._writeDisconnecting = state._writeDisconnected = True
    state._closeWriteConnection()


def has_sent_fin(connection: Connection) -> bool:
    """Return whether the connection has ended what it sends, after everything that was written."""
    return bool(connection._writeDisconnected)


def certificate_options(endpoint: Any) -> Any:
    """Return the `CertificateOptions` of an ``ssl:`` endpoint, also with the PROXY protocol around it."""
    while hasattr(endpoint, "_wrappedEndpoint"):
        endpoint = endpoint._wrappedEndpoint
    return endpoint._sslContextFactory


def silence_wrapper(endpoint: Any) -> None:
    """Have the factory that an endpoint puts around another one, such as ``haproxy:``, log no lines."""
    make = endpoint._wrapperFactory

    def make_silent(factory: IProtocolFactory) -> WrappingFactory:
        wrapper: WrappingFactory = make(factory)
        wrapper.noisy = False
        return wrapper

    endpoint._wrapperFactory = make_silent


def skip_log_context(reactor: Any) -> bool:
    """Have Twisted's epoll reactor call what is ready without entering a context of its old log each time.

    The context has a prefix for lines of `twisted.python.log`, which is not used here, and takes eleven calls
    for each event. Errors are logged as before.

    Args:
        reactor: may be another one.

    Returns:
        Whether it does so now.
    """
    if f"{type(reactor).__module__}.{type(reactor).__qualname__}" != _EPOLL_REACTOR:
        return False
    check(_EPOLL_REACTOR, dict.fromkeys(("_poller", "_selectables", "_doReadOrWrite"), "doPoll"))
    poll, selectables, read_or_write = reactor._poller.poll, reactor._selectables, reactor._doReadOrWrite

    def iterate(timeout: float | None) -> None:
        for descriptor, event in poll(-1 if timeout is None else timeout, len(selectables)):
            # One that was called before may have removed it.
            if descriptor in selectables:
                read_or_write(selectables[descriptor], descriptor, event)

    reactor.doIteration = iterate
    return True


class HTTPConnection(HTTPChannel):
    """Twisted's HTTP, which lets its owner answer what its parser refuses, and parse what it would not."""

    def refuse_malformed(self) -> None:
        """Respond to a request that Twisted's parser refuses, and close."""
        raise NotImplementedError

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse_malformed()

    @property
    def received(self) -> bytes:
        """What follows the line that is being parsed, as far as it has come."""
        buffer: bytes = self._buffer
        return buffer

    def take_headers(self, headers: Iterable[tuple[bytes, bytes]], size: int) -> None:
        """End the head of the request whose first line has been parsed.

        Args:
            headers: names and values that Twisted's parser would accept, without one that announces a body.
            size: of all that they were parsed from, at the beginning of `received`.
        """
        self._buffer = self._buffer[size:]
        raw = self.requests[-1].requestHeaders._rawHeaders
        for name, value in headers:
            raw.setdefault(_nameEncoder.encode(name), []).append(value)
        super().lineReceived(b"")


def adopt_unix_socket(
    reactor: Any, descriptor: int, factory: IProtocolFactory, *, backlog: int
) -> IListeningPort:
    """Accept connections from a UNIX socket that listens, and leave its path as it is.

    ``adoptStreamPort`` gives the path mode 666, which lets in all users, and removes it at the end.

    Args:
        reactor: accepts them.
        descriptor: of the socket, which is copied.
        factory: serves the connections.
        backlog: how many connections may wait to be accepted.
    """
    port = unix.Port._fromListeningDescriptor(reactor, descriptor, factory)
    # A name that is not one of the file system's.
    port._bindPath = b"\0"
    port.backlog = backlog
    port.startListening()
    return cast(IListeningPort, port)

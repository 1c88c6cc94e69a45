"""The transport of a tunnel's end: the fastest that its connection allows."""

from typing import cast

from twisted.internet.tcp import Connection

from portofcall.relay.direct_read import DirectRead, Received
from portofcall.relay.direct_tls import direct_tls
from portofcall.relay.direct_write import direct_write
from portofcall.relay.interfaces import IEndTransport, IStreamTransport
from portofcall.relay.readiness import Readiness


def direct_transport(transport: IStreamTransport, readiness: Readiness, received: Received) -> IEndTransport:
    """Wrap a transport so that it sends and reads directly where possible.

    Args:
        transport: connected, without a producer; its protocol gets whatever the transport still reads itself.
        readiness: of the same reactor.
        received: gets the bytes that are read directly. `resumeProducing` starts reading.

    Returns:
        The transport with a `DirectRead` around it for a plain socket with nothing (such as the PROXY
        protocol) in between, with a `DirectTLS` for TLS on a socket, and in any case one that copies the
        bytes that it keeps.
    """
    tls = direct_tls(transport, readiness, received)
    if tls is not None:
        return tls
    sending = direct_write(transport, readiness.in_turn_beside)
    if readiness.available and isinstance(transport, Connection) and not transport.TLS:
        return cast(IEndTransport, DirectRead(sending, transport, readiness, received))
    return sending

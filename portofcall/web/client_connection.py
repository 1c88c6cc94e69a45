"""What the PROXY protocol says about a client, taken from its request."""

from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ISSLTransport
from twisted.web.server import Request

from portofcall.access.client_certificate import common_name
from portofcall.egress.proxy_header import ClientConnection, ClientTLS
from portofcall.events import Caller


def describe_client(request: Request, caller: Caller) -> ClientConnection:
    """Describe the connection of a request.

    Args:
        request: has been admitted, and its connection is still HTTP's.
        caller: its caller. Behind a trusted proxy that is the real client, whose port (0) and TLS are not
            known; the destination is the address that the proxy connected to.
    """
    local = request.getHost()
    has_address = isinstance(local, IPv4Address | IPv6Address) and caller.address != "local"
    return ClientConnection(
        source=(ip_address(caller.address), caller.port or 0) if has_address else None,
        destination=(ip_address(local.host), local.port) if has_address else None,
        unique_id=caller.request_id,
        subject=caller.subject,
        tls=None if caller.proxy else _tls(request.channel.transport),
    )


def _tls(transport: Any) -> ClientTLS | None:
    if not ISSLTransport.providedBy(transport):
        return None
    handle: Any = transport.getHandle()  # type: ignore[attr-defined]
    return ClientTLS(
        version=handle.get_protocol_version_name(),
        cipher=handle.get_cipher_name() or "",
        common_name=common_name(transport),
    )

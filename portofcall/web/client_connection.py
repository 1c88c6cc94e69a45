"""What targets are told of a client's connection, taken from its request."""

from ipaddress import ip_address
from typing import Any, cast

from cryptography.x509 import NameOID
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import ISSLTransport
from twisted.web.server import Request

from portofcall.egress.proxy_header import ClientConnection, ClientTLS
from portofcall.events import Caller


def client_connection(request: Request, caller: Caller) -> ClientConnection:
    """Describe the connection of a request.

    Args:
        request: has been admitted, and its connection is still HTTP's.
        caller: its caller. Behind a trusted proxy that is the real client, whose port is not known (0); the
            destination is where the proxy connected to.
    """
    local = request.getHost()
    has_address = isinstance(local, IPv4Address | IPv6Address) and caller.address != "local"
    return ClientConnection(
        source=(ip_address(caller.address), caller.port or 0) if has_address else None,
        destination=(ip_address(local.host), local.port) if has_address else None,
        unique_id=caller.request_id,
        subject=caller.subject,
        tls=_tls(request.channel.transport),
    )


def _tls(transport: Any) -> ClientTLS | None:
    if not ISSLTransport.providedBy(transport):
        return None
    connection = cast(Any, transport)
    handle, certificate = connection.getHandle(), connection.getPeerCertificate()
    name = None
    if certificate is not None:
        names = certificate.to_cryptography().subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if names else ""
    return ClientTLS(
        version=handle.get_protocol_version_name(), cipher=handle.get_cipher_name() or "", common_name=name
    )

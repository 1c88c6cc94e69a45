"""The PROXY protocol's header: reports the original source address to a target. Pure.

It is HAProxy's protocol (doc/proxy-protocol.txt, "The PROXY protocol, versions 1 & 2"), which HAProxy, nginx,
Apache, Postfix, PostgreSQL poolers and others read. The header is the first of a connection, before TLS.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from portofcall.target import Address

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_LOCAL, _PROXY = b"\x20", b"\x21"
_UNSPECIFIED, _TCP4, _TCP6 = b"\x00", b"\x11", b"\x21"
_UNKNOWN: Final = b"PROXY UNKNOWN\r\n"
_OVER_TLS, _CERTIFICATE_ON_CONNECTION, _CERTIFICATE_IN_SESSION = 0x01, 0x02, 0x04
_VERIFIED, _NOT_VERIFIED = bytes(4), b"\x00\x00\x00\x01"


class ProxyVersion(Enum):
    """A form of the header; the values are those of ``--send-proxy``."""

    V1 = "v1"
    V2 = "v2"
    V2_SSL = "v2-ssl"


class Tlv(Enum):
    """The fields of version 2 that are sent (sections 2.2.1 to 2.2.7)."""

    UNIQUE_ID = 0x05
    SSL = 0x20
    SSL_VERSION = 0x21
    SSL_CN = 0x22
    SSL_CIPHER = 0x23
    #: The first of those that are free for applications: the authenticated subject.
    SUBJECT = 0xE0


#: An address and a port.
Endpoint = tuple[Address, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTLS:
    """The TLS of a client's connection.

    Attributes:
        version: such as ``TLSv1.3``.
        cipher: its name in OpenSSL.
        common_name: of the client's verified certificate; None if it has none.
    """

    version: str
    cipher: str
    common_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConnection:
    """What a target learns about a client's connection to the gateway.

    Attributes:
        source: the client; None if it has no address, as over a UNIX socket.
        destination: the address that it connected to.
        unique_id: the id of its request, at most 128 bytes.
        subject: the authenticated subject, as in the log: at most 64 characters, longer ones cut; empty
            without authentication.
        tls: its TLS; None if it has none.
    """

    source: Endpoint | None
    destination: Endpoint | None
    unique_id: str = ""
    subject: str = ""
    tls: ClientTLS | None = None


def proxy_header(version: ProxyVersion, client: ClientConnection) -> bytes:
    """Return the header of a connection that is made for a client.

    Args:
        version: its form. Only ``V2_SSL`` has the client's TLS.
        client: where the client is. If one of its addresses is IPv4 and the other IPv6, the former is sent as
            ``::ffff:a.b.c.d``. A client without an address gets the header of `own_header`: HAProxy sends it
            for such clients too, and its parser rejects the command PROXY with AF_UNSPEC.
    """
    pair = _of_one_family(client)
    if not pair:
        return own_header(version)
    if version is ProxyVersion.V1:
        return _line(*pair)
    fields = [(Tlv.UNIQUE_ID, client.unique_id.encode()), (Tlv.SUBJECT, client.subject.encode())]
    packed = b"".join(_tlv(kind, value) for kind, value in fields if value)
    if version is ProxyVersion.V2_SSL and client.tls is not None:
        packed += _tlv(Tlv.SSL, _tls(client.tls))
    source, destination = pair
    family = _TCP4 if source[0].version == 4 else _TCP6
    addresses = source[0].packed + destination[0].packed
    ports = b"".join(port.to_bytes(2, "big") for _, port in pair)
    return _message(_PROXY, family, addresses + ports + packed)


def own_header(version: ProxyVersion) -> bytes:
    """Return the header of a connection that the gateway makes for itself: a ping, or to read a banner.

    The receiver takes the connection's own addresses: UNKNOWN in version 1, LOCAL and AF_UNSPEC in version 2.
    """
    return _UNKNOWN if version is ProxyVersion.V1 else _message(_LOCAL, _UNSPECIFIED, b"")


def _of_one_family(client: ClientConnection) -> tuple[Endpoint, Endpoint] | None:
    if client.source is None or client.destination is None:
        return None
    (source, source_port), (destination, destination_port) = client.source, client.destination
    if source.version != destination.version:
        source, destination = _as_ipv6(source), _as_ipv6(destination)
    return (source, source_port), (destination, destination_port)


def _as_ipv6(address: Address) -> Address:
    return IPv6Address(f"::ffff:{address}") if isinstance(address, IPv4Address) else address


def _line(source: Endpoint, destination: Endpoint) -> bytes:
    """Return version 1 (section 2.1): at most 107 bytes."""
    words: Iterable[object] = (
        "PROXY",
        f"TCP{source[0].version}",
        _shown(source[0]),
        _shown(destination[0]),
        source[1],
        destination[1],
    )
    return " ".join(map(str, words)).encode("ascii") + b"\r\n"


def _shown(address: Address) -> str:
    """Return an address without a zone, which means nothing to others; mapped ones as people know them."""
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return f"::ffff:{mapped}" if mapped is not None else str(IPv6Address(int(address)))
    return str(address)


def _message(command: bytes, family: bytes, body: bytes) -> bytes:
    """Return version 2 (section 2.2)."""
    return _SIGNATURE + command + family + len(body).to_bytes(2, "big") + body


def _tlv(kind: Tlv, value: bytes) -> bytes:
    return bytes([kind.value]) + len(value).to_bytes(2, "big") + value


def _tls(tls: ClientTLS) -> bytes:
    """Return the value of PP2_TYPE_SSL (section 2.2.6)."""
    flags, verified = _OVER_TLS, _NOT_VERIFIED
    if tls.common_name is not None:
        flags, verified = flags | _CERTIFICATE_ON_CONNECTION | _CERTIFICATE_IN_SESSION, _VERIFIED
    parts = [_tlv(Tlv.SSL_VERSION, tls.version.encode()), _tlv(Tlv.SSL_CIPHER, tls.cipher.encode())]
    if tls.common_name is not None:
        parts.append(_tlv(Tlv.SSL_CN, tls.common_name.encode()))
    return bytes([flags]) + verified + b"".join(parts)

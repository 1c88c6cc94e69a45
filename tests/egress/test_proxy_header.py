"""The header of the PROXY protocol, as its specification has it."""

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress.proxy_header import (
    ClientConnection,
    ClientTLS,
    ProxyVersion,
    Tlv,
    own_header,
    proxy_header,
)

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def origin(source: str | None, destination: str | None = "192.0.2.9", **fields: Any) -> ClientConnection:
    """A client with port 51000, connected to port 443."""
    return ClientConnection(
        source=source and (ip_address(source), 51000),  # type: ignore[arg-type]
        destination=destination and (ip_address(destination), 443),  # type: ignore[arg-type]
        **fields,
    )


def fields_of(data: bytes) -> list[tuple[int, bytes]]:
    """Split TLVs, as a receiver does."""
    found = []
    while data:
        size = int.from_bytes(data[1:3], "big")
        assert len(data) >= 3 + size
        found.append((data[0], data[3 : 3 + size]))
        data = data[3 + size :]
    return found


def message(header: bytes) -> tuple[int, int, bytes]:
    """Take version 2 apart: command, family, and the rest, whose size it announces."""
    assert header[:12] == SIGNATURE
    assert int.from_bytes(header[14:16], "big") == len(header) - 16
    return header[12], header[13], header[16:]


@pytest.mark.parametrize(
    ("source", "destination", "line"),
    [
        ("203.0.113.7", "192.0.2.9", "PROXY TCP4 203.0.113.7 192.0.2.9 51000 443\r\n"),
        ("2001:db8::7", "2001:db8::9", "PROXY TCP6 2001:db8::7 2001:db8::9 51000 443\r\n"),
        ("203.0.113.7", "2001:db8::9", "PROXY TCP6 ::ffff:203.0.113.7 2001:db8::9 51000 443\r\n"),
        ("2001:db8::7", "192.0.2.9", "PROXY TCP6 2001:db8::7 ::ffff:192.0.2.9 51000 443\r\n"),
        ("fe80::1%eth0", "fe80::2%eth0", "PROXY TCP6 fe80::1 fe80::2 51000 443\r\n"),
        (None, "192.0.2.9", "PROXY UNKNOWN\r\n"),
        ("203.0.113.7", None, "PROXY UNKNOWN\r\n"),
    ],
)
def test_version_1_is_a_line(source: str | None, destination: str | None, line: str) -> None:
    """IPv4 and IPv6 together are written as IPv6; a client on a UNIX socket is unknown."""
    assert proxy_header(ProxyVersion.V1, origin(source, destination)) == line.encode()


@pytest.mark.parametrize(
    ("source", "destination", "family", "addresses"),
    [
        ("203.0.113.7", "192.0.2.9", 0x11, "cb007107 c0000209"),
        (
            "2001:db8::7",
            "192.0.2.9",
            0x21,
            "20010db8000000000000000000000007 00000000000000000000ffffc0000209",
        ),
    ],
)
def test_version_2_has_addresses_in_binary(
    source: str, destination: str, family: int, addresses: str
) -> None:
    """Both of one family, then both ports."""
    assert message(proxy_header(ProxyVersion.V2, origin(source, destination))) == (
        0x21,
        family,
        bytes.fromhex(addresses) + bytes.fromhex("c738 01bb"),
    )


def test_version_2_tells_who_it_is() -> None:
    """The request's id under the registered type, the subject under the first that is free."""
    header = proxy_header(ProxyVersion.V2, origin("203.0.113.7", unique_id="2c9ab", subject="ann"))
    assert fields_of(message(header)[2][12:]) == [(0x05, b"2c9ab"), (0xE0, b"ann")]


@pytest.mark.parametrize("version", list(ProxyVersion))
def test_client_on_a_unix_socket_has_no_address(version: ProxyVersion) -> None:
    """HAProxy sends the same for such clients, and rejects anything else."""
    client = origin(None, None, unique_id="2c9ab", subject="ann")
    assert proxy_header(version, client) == own_header(version)


@pytest.mark.parametrize(
    ("common_name", "flags", "verified", "names"),
    [(None, 0x01, False, []), ("ann", 0x07, True, [(0x22, b"ann")])],
)
def test_client_over_tls_is_described_on_request(
    common_name: str | None, flags: int, verified: bool, names: list[tuple[int, bytes]]
) -> None:
    """The verification counts as passed (0) only with a certificate."""
    tls = ClientTLS(version="TLSv1.3", cipher="TLS_AES_128_GCM_SHA256", common_name=common_name)
    client = origin("203.0.113.7", tls=tls)
    assert Tlv.SSL.value not in dict(fields_of(message(proxy_header(ProxyVersion.V2, client))[2][12:]))
    value = dict(fields_of(message(proxy_header(ProxyVersion.V2_SSL, client))[2][12:]))[0x20]
    assert value[0] == flags
    assert (int.from_bytes(value[1:5], "big") == 0) is verified
    assert fields_of(value[5:]) == [(0x21, b"TLSv1.3"), (0x23, b"TLS_AES_128_GCM_SHA256"), *names]


def test_client_in_the_clear_has_no_tls() -> None:
    """Not even an empty description of it."""
    header = proxy_header(ProxyVersion.V2_SSL, origin("203.0.113.7"))
    assert fields_of(message(header)[2][12:]) == []


@pytest.mark.parametrize(
    ("version", "header"),
    [
        (ProxyVersion.V1, b"PROXY UNKNOWN\r\n"),
        (ProxyVersion.V2, SIGNATURE + b"\x20\x00\x00\x00"),
        (ProxyVersion.V2_SSL, SIGNATURE + b"\x20\x00\x00\x00"),
    ],
)
def test_connections_of_the_gateway_itself_name_no_client(version: ProxyVersion, header: bytes) -> None:
    """A ping is LOCAL, which a target does not log as a client."""
    assert own_header(version) == header


@given(
    source=st.ip_addresses(),
    destination=st.ip_addresses(),
    subject=st.text(max_size=300),
)
def test_no_header_exceeds_what_receivers_read(source: Any, destination: Any, subject: str) -> None:
    """Version 1 has at most 107 bytes with its line end; version 2 announces its size in 16 bits."""
    client = ClientConnection(source=(source, 65535), destination=(destination, 65535), subject=subject)
    line = proxy_header(ProxyVersion.V1, client)
    assert len(line) <= 107
    assert line.endswith(b"\r\n")
    assert line.count(b" ") == 5
    subjects = dict(
        fields_of(
            message(proxy_header(ProxyVersion.V2, client))[2][
                12 if source.version == destination.version == 4 else 36 :
            ]
        )
    )
    assert subjects.get(0xE0, b"").decode() == subject

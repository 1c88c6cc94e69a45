"""Only a listener that is known to be private needs no authentication."""

import pytest
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress, _ProcessAddress
from twisted.internet.interfaces import IAddress

from portofcall.access.client_address import parse_network
from portofcall.service.exposure import why_exposed

UNIX = UNIXAddress(b"/run/x")


def tcp(host: str) -> IAddress:
    """Make the address of a TCP listener."""
    return IPv6Address("TCP", host, 8080) if ":" in host else IPv4Address("TCP", host, 8080)


def reason(description: str, host: IAddress, *trusted: str) -> str:
    """Return the reason why a listener is exposed; empty if it is not."""
    return why_exposed(description, host, [parse_network(network) for network in trusted]) or ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_private(host: str) -> None:
    """All of 127.0.0.0/8, and ::1."""
    assert reason("tcp:8080", tcp(host)) == ""


@pytest.mark.parametrize("description", ["unix:/run/x", "systemd:domain=UNIX:index=0", "unix:/run/haproxy/x"])
def test_unix_socket_is_private(description: str) -> None:
    """From systemd too, and with any path."""
    assert reason(description, UNIX) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "fe80::1%eth0", "169.254.0.1"])
def test_every_other_address_is_exposed(host: str) -> None:
    """Private networks too: they have other machines."""
    assert reason("tcp:8080", tcp(host)) == "this address is reachable from other machines"


@pytest.mark.parametrize("host", [_ProcessAddress(), HostnameAddress(b"localhost", 80)])
def test_unknown_kind_of_address_is_exposed(host: IAddress) -> None:
    """A plugin's endpoint may lead anywhere: an onion service, another network stack."""
    assert reason("other:8080", host) == "this kind of address may be reachable from other machines"


@pytest.mark.parametrize(
    "description",
    [
        "haproxy:tcp:8080:interface=127.0.0.1",
        "haproxy:unix:/run/x",
        "haprox\\y:unix:/run/x",
        "tls+haproxy:tcp:8080:interface=127.0.0.1",
        "other:haproxy:tcp:8080:interface=127.0.0.1",
    ],
)
@pytest.mark.parametrize("host", [tcp("127.0.0.1"), UNIX])
def test_haproxy_endpoint_is_exposed(description: str, host: IAddress) -> None:
    """Its proxy is there to serve other machines."""
    assert reason(description, host).startswith("the proxy in front of this endpoint")


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        (UNIX, "127.0.0.1"),
        (UNIX, "127.0.0.0/8"),
        (UNIX, "0.0.0.0/0"),
        (tcp("127.0.0.1"), "127.0.0.1"),
        (tcp("127.0.0.1"), "127.0.0.2"),
        (tcp("127.0.0.1"), "0.0.0.0/0"),
        (tcp("127.0.0.1"), "::ffff:127.0.0.1"),
        (tcp("::1"), "::1"),
        (tcp("::1"), "::/0"),
    ],
)
def test_listener_with_a_trusted_proxy_is_exposed(host: IAddress, trusted: str) -> None:
    """Where --trust-forwarded covers an address that its clients connect from."""
    assert reason("any", host, trusted).startswith("the proxy that --trust-forwarded covers")


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        (UNIX, "127.0.0.2"),
        (UNIX, "::1"),
        (UNIX, "10.0.0.0/8"),
        (tcp("127.0.0.1"), "10.0.0.0/8"),
        (tcp("127.0.0.1"), "::/0"),
        (tcp("::1"), "127.0.0.0/8"),
        (tcp("::1"), "fd00::/8"),
    ],
)
def test_proxy_elsewhere_does_not_expose_a_private_listener(host: IAddress, trusted: str) -> None:
    """It can't connect there."""
    assert reason("any", host, trusted) == ""

"""The URL in the log works: it can be opened, or be pasted into the configuration of a proxy."""

import pytest
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from portofcall.service.url import listener_url, tunnel_url


def tcp(host: str) -> IAddress:
    """The address of a listener on port 8080."""
    return IPv6Address("TCP", host, 8080) if ":" in host else IPv4Address("TCP", host, 8080)


@pytest.mark.parametrize(
    ("description", "address", "names", "url", "tunnels"),
    [
        ("tcp:0", tcp("192.0.2.1"), [], "http://192.0.2.1:8080", "ws://192.0.2.1:8080/api/connect"),
        ("tcp:0", tcp("::1"), [], "http://[::1]:8080", "ws://[::1]:8080/api/connect"),
        ("tcp:0", tcp("fe80::1%eth0"), [], "http://[fe80::1%25eth0]:8080", None),
        ("tcp:0", tcp("0.0.0.0"), [], "http://127.0.0.1:8080", "ws://127.0.0.1:8080/api/connect"),
        ("tcp:0", tcp("::"), [], "http://[::1]:8080", "ws://[::1]:8080/api/connect"),
        ("ssl:0", tcp("127.0.0.1"), [], "https://127.0.0.1:8080", "wss://127.0.0.1:8080/api/connect"),
        ("tls+tcp:0", tcp("127.0.0.1"), ["a.example"], "https://127.0.0.1:8080", None),
        ("tls+tcp:0", tcp("0.0.0.0"), ["*.a.example", "b.example"], "https://b.example:8080", None),
        ("tls+tcp:0", tcp("::"), ["*.a.example"], "https://[::1]:8080", None),
        ("unix:/run/x", UNIXAddress("/run/x"), [], "http://unix:/run/x", ""),
        ("tls+unix:/run/x", UNIXAddress(b"/run/x"), [], "https://unix:/run/x", ""),
        ("unix:x", UNIXAddress("/run/\n"), [], "http://unix:/run/\\n", ""),
        ("systemd:x", UNIXAddress(b"\0abstract"), [], "systemd:x", ""),
        ("onion:x", HostnameAddress(b"x.onion", 80), [], "onion:x", ""),
    ],
)
def test_url_can_be_used(
    description: str, address: IAddress, names: list[str], url: str, tunnels: str | None
) -> None:
    """All addresses are no destination: the certificate's name stands for them, or loopback."""
    assert listener_url(description, address, names) == url
    assert tunnels is None or tunnel_url(url) == tunnels

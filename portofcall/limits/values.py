"""The limits of a gateway, each with its unit in its name."""

from dataclasses import dataclass
from typing import NamedTuple

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB


class Rate(NamedTuple):
    """A rate with bursts.

    Attributes:
        per_second: the sustained rate; 0 means no limit.
        burst: the most at once.
    """

    per_second: float
    burst: int

    def __str__(self) -> str:
        """The rate as an option takes it: ``50:200``."""
        return f"{self.per_second:g}:{self.burst}"


_DEFAULT_RATE = Rate(50, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one gateway.

    Attributes:
        high_water_bytes: how much may wait for a slow reader before its source is paused. One read of 64 KiB
            comes on top; and a transport may hold 64 KiB and one read of 256 KiB, whatever this says.
            Data queued in a transport counts, but not in one over TLS.
        max_message_bytes: the largest payload of a WebSocket message that is sent; larger ones are split.
        connect_timeout_seconds: from the first connection attempt to an open TCP connection.
        dns_timeout_seconds: for one look-up of a host name.
        stall_seconds: how long a tunnel that is closing may go without moving a byte.
        linger_seconds: how long a backend may take to close after it was sent FIN and the client is gone.
        request_seconds: for a whole HTTP request to arrive, however slowly it drips, from the moment when
            the connection is accepted.
        max_head_bytes: the largest head of an HTTP request, its first line included.
        max_header_lines: the most header lines of an HTTP request.
        max_body_bytes: the largest body of an HTTP request.
        max_fragments: the most frames of one WebSocket message.
        control_frames_per_second: how many pings and pongs a client may send; ten seconds' worth at once.
        max_waiting: the most connections with neither a request in progress nor a tunnel; 0 means no limit,
            here and below.
        max_tunnels: the most tunnels, pings and banners at a time.
        max_per_client: the most of them for one client (an IPv4 address, or an IPv6 network of 64 bits).
        max_per_target: the most connections to one address and port.
        max_per_client_target: the most connections of one client to one address and port.
        rate_per_client: how many tunnels, pings and banners one client may start per second, and at once.
        rate_per_target: how many connections to one address and port may be opened, likewise.
        look_ups_per_client: the most host names of one client that are looked up at a time; others wait.
    """

    high_water_bytes: int = 1 * MiB
    max_message_bytes: int = 1 * MiB
    connect_timeout_seconds: float = 10.0
    dns_timeout_seconds: float = 5.0
    stall_seconds: float = 30.0
    linger_seconds: float = 5.0
    request_seconds: float = 10.0
    max_head_bytes: int = 16 * KiB
    max_header_lines: int = 100
    max_body_bytes: int = 4 * KiB
    max_fragments: int = 1024
    control_frames_per_second: int = 100
    max_waiting: int = 2000
    max_tunnels: int = 10_000
    max_per_client: int = 256
    max_per_target: int = 256
    max_per_client_target: int = 64
    rate_per_client: Rate = _DEFAULT_RATE
    rate_per_target: Rate = _DEFAULT_RATE
    look_ups_per_client: int = 4

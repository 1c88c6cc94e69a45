"""The limits of a gateway, each with its unit in its name."""

from dataclasses import dataclass
from typing import NamedTuple

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB


class Rate(NamedTuple):
    """Events per second, with a burst.

    Attributes:
        per_second: the sustained rate; 0 means no limit.
        burst: the most at once.
    """

    per_second: float
    burst: int

    def __str__(self) -> str:
        """Return the rate as an option takes it: ``50:200``."""
        return f"{self.per_second:g}:{self.burst}"


_DEFAULT_RATE = Rate(50, 200)
# Four times that of one client, so that no client uses up a target's rate alone.
_DEFAULT_TARGET_RATE = Rate(200, 800)
_DEFAULT_REQUEST_RATE = Rate(100, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one gateway.

    Attributes:
        high_water_bytes: bytes queued for a slow reader before its sender is paused. One read of 64 KiB may
            come on top, and a transport may hold 64 KiB and one read of 256 KiB in any case. Bytes queued in
            a transport count, except over TLS.
        max_message_bytes: the largest payload of a WebSocket message that is sent; more is split.
        connect_timeout_seconds: from the first connection attempt to an open TCP connection.
        dns_timeout_seconds: for one look-up of a host name.
        close_stall_seconds: the longest time that a peer of a closing tunnel may acknowledge nothing of what
            it was sent.
        linger_seconds: once it has acknowledged everything, the longest time that it may be silent.
        close_grace_seconds: the longest time that a backend may go on sending to a client that has sent a
            Close frame; 0 means not at all.
        gone_seconds: the longest time that a peer's kernel may acknowledge nothing at all, while it has
            something to acknowledge. That of a peer that does not read does so at least every 2 minutes.
        ping_interval_seconds: after this time, at most twice as long, a client that has sent no payload gets
            a ping; 0 means no pings.
        ping_timeout_seconds: how long it may send nothing after a ping, when it had nothing left to read.
        client_stall_seconds: the longest time that the client of an open tunnel may make no progress although
            something is left for it to read; 0 means no limit.
        idle_seconds: the longest time that an open tunnel may carry no payload; 0 means no limit.
        lifetime_seconds: the longest time from the start of a tunnel to the beginning of its end; 0 means no
            limit.
        request_seconds: for a whole HTTP request to arrive, however slowly: from the moment when the
            connection is accepted, or from the first byte of a later request.
        max_head_bytes: the largest head of an HTTP request, the request line included.
        max_header_lines: the most header lines of an HTTP request.
        max_body_bytes: the largest body of an HTTP request.
        max_fragments: the most frames of one WebSocket message that have a payload of less than 1 KiB.
        control_frames_per_second: the rate of pings and pongs from a client; ten seconds' worth at once.
        max_waiting: the most connections without a tunnel and without a request that is being served; 0 means
            no limit, here and below.
        max_downloads: the most files above 64 KiB that are being sent, a quarter of them to one client.
        max_tunnels: the most tunnels, pings and banners at a time.
        max_per_client: the most of them for one client (an IPv4 address, or an IPv6 network of 64 bits).
        max_per_target: the most connections to one address and port.
        max_per_client_target: the most connections of one client to one address and port.
        rate_per_client: the rate at which one client may start tunnels, pings and banners.
        rate_per_target: the rate of connections to one address and port.
        request_rate: the rate of HTTP requests of any kind, and of TLS handshakes, of one client.
        look_ups_per_client: the most host names that are looked up at a time for one client; others wait.
    """

    high_water_bytes: int = 1 * MiB
    max_message_bytes: int = 1 * MiB
    connect_timeout_seconds: float = 10.0
    dns_timeout_seconds: float = 5.0
    close_stall_seconds: float = 30.0
    linger_seconds: float = 5.0
    close_grace_seconds: float = 30.0
    gone_seconds: float = 180.0
    ping_interval_seconds: float = 20.0
    ping_timeout_seconds: float = 20.0
    client_stall_seconds: float = 0.0
    idle_seconds: float = 0.0
    lifetime_seconds: float = 0.0
    request_seconds: float = 10.0
    max_head_bytes: int = 16 * KiB
    max_header_lines: int = 100
    max_body_bytes: int = 4 * KiB
    max_fragments: int = 1024
    control_frames_per_second: int = 100
    max_waiting: int = 2000
    max_downloads: int = 256
    max_tunnels: int = 10_000
    max_per_client: int = 256
    max_per_target: int = 256
    max_per_client_target: int = 64
    rate_per_client: Rate = _DEFAULT_RATE
    rate_per_target: Rate = _DEFAULT_TARGET_RATE
    request_rate: Rate = _DEFAULT_REQUEST_RATE
    look_ups_per_client: int = 4

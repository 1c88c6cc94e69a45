"""The options of ``twistd portofcall`` that set a limit: one row for each, in the order of ``--help``."""

from typing import Final

from portofcall.service.option import Group, Option
from portofcall.service.option_values import (
    parse_count,
    parse_grace,
    parse_rate,
    parse_seconds,
    parse_size,
)

#: A new limit is one row here and one field in `portofcall.limits.values.Limits`.
LIMIT_OPTIONS: Final = (
    Option(
        name="high-water",
        group=Group.LIMITS,
        metavar="BYTES",
        parser=parse_size,
        field="high_water_bytes",
        help="bytes queued for a slow reader before its sender is paused",
    ),
    Option(
        name="max-message",
        group=Group.LIMITS,
        metavar="BYTES",
        parser=parse_size,
        field="max_message_bytes",
        help="largest WebSocket message that is sent",
    ),
    Option(
        name="connect-timeout",
        group=Group.LIMITS,
        metavar="SECONDS",
        parser=parse_seconds,
        field="connect_timeout_seconds",
        help="time for a target to accept the connection",
    ),
    Option(
        name="dns-timeout",
        group=Group.LIMITS,
        metavar="SECONDS",
        parser=parse_seconds,
        field="dns_timeout_seconds",
        help="time for a host name to be resolved",
    ),
    Option(
        name="close-grace",
        group=Group.LIMITS,
        metavar="SECONDS",
        parser=parse_grace,
        field="close_grace_seconds",
        help="time for a target to go on sending to a client, other than a page, after the client's Close "
        "frame; 0 answers that at once",
    ),
    Option(
        name="ping-interval",
        group=Group.LIMITS,
        metavar="SECONDS",
        parser=parse_grace,
        field="ping_interval_seconds",
        help="time between WebSocket pings to a client that sends no data; the first comes after one to two "
        "times that; 0: none",
    ),
    Option(
        name="ping-timeout",
        group=Group.LIMITS,
        metavar="SECONDS",
        parser=parse_seconds,
        field="ping_timeout_seconds",
        help="time to answer a ping, for a client that has nothing left to read",
    ),
    Option(
        name="stall-timeout",
        group=Group.LIMITS,
        metavar="SECONDS",
        parser=parse_grace,
        field="client_stall_seconds",
        help="time that a client with something left to read may make no progress; 0 means no limit",
    ),
    Option(
        name="idle-timeout",
        group=Group.LIMITS,
        metavar="SECONDS",
        parser=parse_grace,
        field="idle_seconds",
        help="time that a tunnel may carry no data, pings not counted; it is ended within a quarter of that "
        "afterwards; 0 means no limit",
    ),
    Option(
        name="max-lifetime",
        group=Group.LIMITS,
        metavar="SECONDS",
        parser=parse_grace,
        field="lifetime_seconds",
        help="time that a tunnel may live; 0 means no limit",
    ),
    Option(
        name="max-waiting",
        group=Group.LIMITS,
        metavar="COUNT",
        parser=parse_count,
        field="max_waiting",
        help="most connections without a tunnel or a request in progress, within 15 % of the file "
        "descriptors; 0 means no limit, here and below",
    ),
    Option(
        name="max-downloads",
        group=Group.LIMITS,
        metavar="COUNT",
        parser=parse_count,
        field="max_downloads",
        help="most large files of --web that are being sent, a quarter of them to one client, within 1 % of "
        "the file descriptors",
    ),
    Option(
        name="max-tunnels",
        group=Group.LIMITS,
        metavar="COUNT",
        parser=parse_count,
        field="max_tunnels",
        help="most tunnels, pings and banners at a time, within 40 % of the file descriptors",
    ),
    Option(
        name="max-per-client",
        group=Group.LIMITS,
        metavar="COUNT",
        parser=parse_count,
        field="max_per_client",
        help="most of them for one client: an IPv4 address, or an IPv6 /64",
    ),
    Option(
        name="max-per-target",
        group=Group.LIMITS,
        metavar="COUNT",
        parser=parse_count,
        field="max_per_target",
        help="most connections to one address and port",
    ),
    Option(
        name="max-per-client-target",
        group=Group.LIMITS,
        metavar="COUNT",
        parser=parse_count,
        field="max_per_client_target",
        help="most connections of one client to one address and port",
    ),
    Option(
        name="rate-per-client",
        group=Group.LIMITS,
        metavar="RATE",
        parser=parse_rate,
        field="rate_per_client",
        help="tunnels, pings and banners that one client may start per second, and at once",
    ),
    Option(
        name="rate-per-target",
        group=Group.LIMITS,
        metavar="RATE",
        parser=parse_rate,
        field="rate_per_target",
        help="connections to one address and port per second, and at once",
    ),
    Option(
        name="request-rate",
        group=Group.LIMITS,
        metavar="RATE",
        parser=parse_rate,
        field="request_rate",
        help="HTTP requests of any kind, and TLS handshakes, of one client per second, and at once",
    ),
)

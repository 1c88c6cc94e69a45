"""The options of ``twistd portofcall``. ``--help`` and the table in docs/running.md are made of these rows.

A new limit is one row here, one field in `portofcall.limits.values.Limits`, and one row in docs/running.md;
a test prints the row that the documentation lacks.
"""

from typing import Final

from portofcall.access.client_address import parse_network
from portofcall.access.origin import parse_origin
from portofcall.service.option import Group, Option
from portofcall.service.option_values import (
    DEFAULT_LISTEN,
    parse_allow,
    parse_count,
    parse_deny,
    parse_endpoint,
    parse_grace,
    parse_path,
    parse_rate,
    parse_seconds,
    parse_size,
    parse_target,
)

#: Every option, in the order of ``--help``.
OPTIONS: Final = (
    Option(
        name="listen",
        group=Group.LISTENING,
        metavar="ENDPOINT",
        parser=parse_endpoint,
        help="listen on a Twisted server endpoint: tcp, ssl, unix, systemd or haproxy",
        default=DEFAULT_LISTEN,
        repeatable=True,
    ),
    Option(
        name="auth",
        group=Group.ACCESS,
        metavar="METHOD",
        help="require a user and a password over HTTP Basic, checked with METHOD, such as "
        "file:/etc/portofcall.passwd",
        default="none",
        repeatable=True,
    ),
    Option(
        name="ticket-key",
        group=Group.ACCESS,
        metavar="FILE",
        parser=parse_path,
        help="accept tickets signed with this key; `portofcall ticket` makes them",
        default="none",
    ),
    Option(
        name="no-auth",
        group=Group.ACCESS,
        help="allow non-loopback listeners without authentication",
        default="off",
    ),
    Option(
        name="origin",
        group=Group.ACCESS,
        metavar="URL",
        parser=parse_origin,
        help="accept requests from pages of this origin, in addition to the gateway's own",
        default="none",
        repeatable=True,
    ),
    Option(
        name="trust-forwarded",
        group=Group.ACCESS,
        metavar="CIDR",
        parser=parse_network,
        help="trust X-Forwarded-For from proxies in this network",
        default="none",
        repeatable=True,
    ),
    Option(
        name="allow",
        group=Group.EGRESS,
        metavar="RULE",
        parser=parse_allow,
        help="where clients may go: public, an address, CIDR or host name, each with optional :PORTS "
        "(22 or 1-1023 or 22,443 or *; IPv6 in brackets)",
        default="public",
        repeatable=True,
    ),
    Option(
        name="deny",
        group=Group.EGRESS,
        metavar="RULE",
        parser=parse_deny,
        help="where clients may not go; overrides every --allow",
        default="none",
        repeatable=True,
    ),
    Option(
        name="policy",
        group=Group.EGRESS,
        metavar="FILE",
        parser=parse_path,
        help="read more rules from a file, one `allow RULE` or `deny RULE` a line; SIGHUP reloads it",
        default="none",
    ),
    Option(
        name="target",
        group=Group.EGRESS,
        metavar="NAME=TARGET",
        parser=parse_target,
        help="let clients ask for a target by its name: HOST:PORT, unix:PATH, or tls:HOST:PORT with "
        "optional :cafile=PATH; needs no --allow, and without one they can ask for nothing else",
        default="none",
        repeatable=True,
    ),
    Option(
        name="target-file",
        group=Group.EGRESS,
        metavar="FILE",
        parser=parse_path,
        help="read more named targets from a file, one `NAME: TARGET` a line; SIGHUP reloads it",
        default="none",
    ),
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
        name="max-waiting",
        group=Group.LIMITS,
        metavar="COUNT",
        parser=parse_count,
        field="max_waiting",
        help="most connections without a tunnel or a request in progress, within 15 % of the file "
        "descriptors; 0 means no limit, here and below",
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
        help="HTTP requests of any kind that one client may send per second, and at once",
    ),
    Option(
        name="without-nvx",
        group=Group.PERFORMANCE,
        help="start without NVX, Autobahn's unmasking in C; about 100 times slower",
        default="off",
    ),
    Option(
        name="demo",
        group=Group.DEMO,
        help="run echo, discard and chargen servers on loopback and allow only these; the log shows what "
        "to try",
        default="off",
    ),
    Option(name="help", group=Group.GENERAL, help="show this help and exit"),
    Option(name="help-auth", group=Group.GENERAL, help="list the methods of --auth and exit"),
    Option(
        name="help-auth-type",
        group=Group.GENERAL,
        metavar="METHOD",
        help="show the argument that one method of --auth takes, and exit",
    ),
    Option(name="version", group=Group.GENERAL, help="show the version and exit"),
)

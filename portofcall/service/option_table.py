"""The options of ``twistd portofcall``. ``--help`` and the table in docs/running.md are made of these rows.

A new option is one row, here or in the modules for egress and limits, and one row in docs/running.md; a test
prints the row that the documentation lacks.
"""

from typing import Final

from portofcall.access.client_address import parse_network
from portofcall.access.origin import parse_origin
from portofcall.service.admin_options import parse_admin_auth
from portofcall.service.egress_options import EGRESS_OPTIONS
from portofcall.service.limit_options import LIMIT_OPTIONS
from portofcall.service.log_file import LogFormat
from portofcall.service.option import Group, Option
from portofcall.service.option_values import (
    DEFAULT_LISTEN,
    parse_endpoint,
    parse_folder,
    parse_grace,
    parse_path,
    parse_yes_no,
)
from portofcall.service.tls_files import TLSVersion, parse_tls_version

#: Every option, in the order of ``--help``.
OPTIONS: Final = (
    Option(
        name="listen",
        group=Group.LISTENING,
        metavar="ENDPOINT",
        parser=parse_endpoint,
        help="listen on a Twisted server endpoint: tcp, ssl, unix, systemd or haproxy; tls+ in front of it, "
        "as in tls+tcp:443, adds TLS with the certificates of --tls-cert",
        default=DEFAULT_LISTEN,
        repeatable=True,
    ),
    Option(
        name="tls-cert",
        group=Group.LISTENING,
        metavar="FILE",
        parser=parse_path,
        help="certificate for tls+ endpoints, in PEM with the full chain; of several, the first is the "
        "default and server names choose the others; SIGHUP reloads it",
        default="none",
        repeatable=True,
    ),
    Option(
        name="tls-key",
        group=Group.LISTENING,
        metavar="FILE",
        parser=parse_path,
        help="private key of the --tls-cert at the same position, in PEM without a passphrase; not needed if "
        "that file has it; SIGHUP reloads it",
        default="none",
        repeatable=True,
    ),
    Option(
        name="tls-client-ca",
        group=Group.LISTENING,
        metavar="FILE",
        parser=parse_path,
        help="require client certificates of these authorities on tls+ endpoints, but for health checks; "
        "SIGHUP reloads it",
        default="none",
    ),
    Option(
        name="tls-min-version",
        group=Group.LISTENING,
        metavar="VERSION",
        parser=parse_tls_version,
        help="lowest version of TLS on tls+ endpoints: 1.2 or 1.3",
        default=TLSVersion.TLS_1_2,
    ),
    Option(
        name="web",
        group=Group.LISTENING,
        metavar="FOLDER",
        parser=parse_folder,
        help="serve the files of a folder at /, such as noVNC; the gateway's own page moves to /portofcall/",
        default="none",
    ),
    Option(
        name="web-listing",
        group=Group.LISTENING,
        help="list the files of folders without an index.html below --web",
        default="off",
    ),
    Option(
        name="auth",
        group=Group.ACCESS,
        metavar="METHOD",
        help="require a user and a password over HTTP Basic, checked with METHOD, such as "
        "file:/etc/portofcall.passwd; SIGHUP reloads a file",
        default="none",
        repeatable=True,
    ),
    Option(
        name="ticket-key",
        group=Group.ACCESS,
        metavar="FILE",
        parser=parse_path,
        help="accept tickets signed with this key; `portofcall ticket` makes them; SIGHUP reloads it",
        default="none",
    ),
    Option(
        name="end-at-exp",
        group=Group.ACCESS,
        help="end a tunnel when the ticket that opened it expires, as the claim session_exp does in any case",
        default="off",
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
    *EGRESS_OPTIONS,
    *LIMIT_OPTIONS,
    Option(
        name="drain-delay",
        group=Group.STOPPING,
        metavar="SECONDS",
        parser=parse_grace,
        help="time from SIGTERM until listeners close, for load balancers to notice that the gateway is not "
        "ready",
        default="0",
    ),
    Option(
        name="drain",
        group=Group.STOPPING,
        metavar="SECONDS",
        parser=parse_grace,
        help="time that tunnels then live on, without new ones, before they are closed",
        default="0",
    ),
    Option(
        name="admin",
        group=Group.MONITORING,
        metavar="ENDPOINT",
        parser=parse_endpoint,
        help="serve /metrics, /tunnels and /loglevel on an endpoint, as for --listen: loopback or a UNIX "
        "socket, or any with --admin-auth",
        default="none",
    ),
    Option(
        name="admin-auth",
        group=Group.MONITORING,
        metavar="METHOD",
        parser=parse_admin_auth,
        help="require a user and a password on the --admin endpoint, checked with METHOD, as for --auth",
        default="none",
        repeatable=True,
    ),
    Option(
        name="ready-when-full",
        group=Group.MONITORING,
        metavar="YES/NO",
        parser=parse_yes_no,
        help="whether /readyz still says yes while --max-tunnels are open: no makes a load balancer send "
        "clients elsewhere meanwhile",
        default="yes",
    ),
    Option(
        name="log-format",
        group=Group.MONITORING,
        metavar="FORMAT",
        parser=LogFormat.parse,
        help="text, or json: one object a line, with the attribute names of OpenTelemetry",
        default="text",
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

"""The options about where clients may go; see `portofcall.service.option_table`."""

from typing import Final

from portofcall.egress.proxy_rules import ProxyRule
from portofcall.egress.target_file import TargetFile
from portofcall.service.option import Group, Option
from portofcall.service.option_values import (
    parse_allow,
    parse_default_target,
    parse_deny,
    parse_path,
    parse_target,
)

EGRESS_OPTIONS: Final = (
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
        parser=TargetFile.parse,
        help="read more named targets from a file, one `NAME: TARGET` a line; with websockify:FILE secret "
        "tokens in websockify's format, from a file or a directory of files; SIGHUP reloads it",
        default="none",
        repeatable=True,
    ),
    Option(
        name="default-target",
        group=Group.EGRESS,
        metavar="TARGET",
        parser=parse_default_target,
        help="where upgrades at /, /websockify and /v1 lead that name no target: the NAME of a target, or "
        "HOST:PORT, unix:PATH or tls:HOST:PORT, which is then the target named default",
        default="none",
    ),
    Option(
        name="recheck-open-tunnels",
        group=Group.EGRESS,
        help="after SIGHUP, end open tunnels that the reloaded --policy and --target-file no longer allow",
        default="off",
    ),
    Option(
        name="send-proxy",
        group=Group.EGRESS,
        metavar="VERSION[:RULE]",
        parser=ProxyRule.parse,
        help="send targets the client's address, by the PROXY protocol: v1, v2, or v2-ssl (with the "
        "client's TLS); with :RULE, as in v2:10.0.0.0/8:25, those that it matches; the first match decides",
        default="none",
        repeatable=True,
    ),
)

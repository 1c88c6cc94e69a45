"""The probes of the JSON API: ping and SSH banner."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NoReturn

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from portofcall.access.gatekeeper import Admitted, Gatekeeper
from portofcall.egress.dialer import Dialer
from portofcall.egress.probe import ping, read_banner
from portofcall.errors import BodyTooLarge, InvalidField, InvalidTarget
from portofcall.events import Probe
from portofcall.limits.values import Limits
from portofcall.target import Requested, Target, TargetName
from portofcall.web.api_resource import APIResource
from portofcall.web.records import Records
from portofcall.web.request_head import parse_query
from portofcall.web.responses import json_response

#: The range and the default of ``timeout``, in milliseconds.
MIN_TIMEOUT_MS: Final = 1000
MAX_TIMEOUT_MS: Final = 30000
DEFAULT_TIMEOUT_MS: Final = 10000
SSH_PORT: Final = 22


class Ping(APIResource):
    """``POST /api/ping``: the time of a TCP handshake with the target."""

    allowed = ("POST",)

    def __init__(self, records: Records, gatekeeper: Gatekeeper, dialer: Dialer, limits: Limits) -> None:
        super().__init__(records)
        self._probe = partial(records.probe, probe=Probe.PING)
        self._gatekeeper = gatekeeper
        self._dialer = dialer
        self._limits = limits

    async def respond_POST(self, request: Request) -> bytes:
        """Ping the target that the body names."""
        fields = read_body(request, self._limits)
        return json_response(request, await self.measure(request, _target(fields), _timeout_seconds(fields)))

    async def measure(self, request: Request, target: Requested, seconds: float) -> Mapping[str, Any]:
        """Admit a request, and ping the target within so many seconds; return the fields of the response."""
        admitted = await _admit(self._gatekeeper, request, target)
        caller, shown = admitted.caller, self._dialer.targets.describe(target)
        with admitted.lease, self._probe(request, caller, target=shown) as record:
            found = await ping(
                self._dialer, target, client=caller.key, timeout_seconds=seconds, trace=record.trace
            )
        rtt = round(found, 2)
        return {
            "success": True,
            **_shown(target),
            "rtt": rtt,
            "message": f"TCP Ping Success: {rtt}ms",
        }


class SSHBanner(APIResource):
    """``POST /api/ssh/connect``: how the target identifies itself as an SSH server."""

    allowed = ("POST",)

    def __init__(
        self,
        records: Records,
        gatekeeper: Gatekeeper,
        dialer: Dialer,
        limits: Limits,
        clock: IReactorTime,
    ) -> None:
        super().__init__(records)
        self._probe = partial(records.probe, probe=Probe.BANNER)
        self._gatekeeper = gatekeeper
        self._dialer = dialer
        self._limits = limits
        self._clock = clock

    async def respond_POST(self, request: Request) -> bytes:
        """Read the banner of the target that the body names."""
        fields = read_body(request, self._limits)
        target, seconds = _target(fields, default_port=SSH_PORT), _timeout_seconds(fields)
        return json_response(request, await self.measure(request, target, seconds))

    async def measure(self, request: Request, target: Requested, seconds: float) -> Mapping[str, Any]:
        """Admit a request, and read the banner within so many seconds; return the fields of the response."""
        admitted = await _admit(self._gatekeeper, request, target)
        caller, shown = admitted.caller, self._dialer.targets.describe(target)
        with admitted.lease, self._probe(request, caller, target=shown) as record:
            banner = await read_banner(
                self._dialer,
                target,
                client=caller.key,
                clock=self._clock,
                timeout_seconds=seconds,
                trace=record.trace,
            )
            record.outcome = banner.line
        return {
            "success": True,
            "message": "SSH server reachable",
            **_shown(target),
            "banner": banner.line,
            "software": banner.software,
            "protocol": banner.protocol,
            "comments": banner.comments,
            "rtt": round(banner.rtt_ms, 2),
        }


async def _admit(gatekeeper: Gatekeeper, request: Request, target: Requested) -> Admitted:
    # A page that rebinds its name has no Origin in a GET request, and could read the response.
    return await gatekeeper.admit(
        request,
        target,
        tickets=parse_query(request.uri).get(b"ticket", ()),
        judge_host_always=request.method != b"POST",
    )


def read_body(request: Request, limits: Limits) -> Mapping[str, Any]:
    """Parse the body of a request as a JSON object.

    Args:
        request: its body has been read by `twisted.web`.
        limits: the limit on its size.

    Returns:
        The object's fields.

    Raises:
        BodyTooLarge: the body is larger than that.
        InvalidField: the body is not a JSON object in UTF-8.
    """
    assert request.content is not None, "twisted.web has read the body"
    body = request.content.read(limits.max_body_bytes + 1)
    if len(body) > limits.max_body_bytes:
        raise BodyTooLarge.over(limits.max_body_bytes)
    try:
        fields = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidField("the body must be a JSON object in UTF-8") from None
    if not isinstance(fields, dict):
        raise InvalidField("the body must be a JSON object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python accepts and JSON does not have."""
    raise ValueError(name)


def _target(fields: Mapping[str, Any], *, default_port: int | None = None) -> Requested:
    if "target" in fields:
        if "host" in fields or "port" in fields:
            raise InvalidTarget("target must be given without host and port")
        name = fields["target"]
        if not isinstance(name, str):
            raise InvalidField("target must be a string")
        return TargetName.parse(name)
    host = fields.get("host")
    if not isinstance(host, str):
        raise InvalidField("host must be a string")
    port = fields.get("port", default_port)
    if type(port) is not int or not 1 <= port <= 65535:
        raise InvalidField("port must be an integer from 1 to 65535")
    return Target.parse(host, port)


def _shown(target: Requested) -> Mapping[str, Any]:
    """Return the fields of a response that name the target: of a named one, the name only."""
    if isinstance(target, TargetName):
        return {"target": target.name}
    return {"host": target.host, "port": target.port}


def _timeout_seconds(fields: Mapping[str, Any]) -> float:
    milliseconds = fields.get("timeout", DEFAULT_TIMEOUT_MS)
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise InvalidField("timeout must be a number of milliseconds")
    return clamp_timeout(milliseconds)


def clamp_timeout(milliseconds: float) -> float:
    """Return the timeout that a request asks for, within the range, in seconds."""
    return min(max(milliseconds, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS) / 1000

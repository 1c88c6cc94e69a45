"""The gateway's JSON API, as a client uses it."""

import json
from collections.abc import Mapping
from typing import Any, cast

from portofcall.client import http_response
from portofcall.client.connection import Gateway
from portofcall.client.problem import Problem, Status
from portofcall.target import Requested, TargetName


async def ping(gateway: Gateway, target: Requested) -> float:
    """Return the time of a TCP handshake between the gateway and the target, in milliseconds.

    Raises:
        Problem: the gateway is not reachable, refuses, or does not reach the target.
    """
    rtt = (await _post(gateway, "ping", target)).get("rtt")
    if not isinstance(rtt, int | float):
        raise _no_gateway()
    return float(rtt)


async def banner(gateway: Gateway, target: Requested) -> Mapping[str, Any]:
    """Return how the target identifies itself as an SSH server; see the banner in docs/protocol.md.

    Raises:
        Problem: the gateway is not reachable, refuses, or the target is no SSH server that it reaches.
    """
    fields = await _post(gateway, "ssh/connect", target)
    if not isinstance(fields.get("banner"), str):
        raise _no_gateway()
    return fields


async def _post(gateway: Gateway, name: str, target: Requested) -> Mapping[str, Any]:
    fields: dict[str, Any] = (
        {"target": target.name}
        if isinstance(target, TargetName)
        else {"host": target.host, "port": target.port}
    )
    body = json.dumps(fields).encode("ascii")
    headers = [
        *await gateway.headers(),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    lines = [f"POST {gateway.route.url.api(name)} HTTP/1.1", *(f"{key}: {value}" for key, value in headers)]
    stream = await gateway.connect()
    try:
        stream.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        head = None
        while head is None:
            head = http_response.parse_head(await stream.read_more())
        data = await gateway.body_of(stream, head)
    finally:
        cast(Any, stream.transport).abortConnection()
    if head.status != 200:
        raise http_response.refusal(head, data)
    return http_response.parse_fields(http_response.body(data))


def _no_gateway() -> Problem:
    return Problem("not-a-gateway", "the response is not that of a gateway", Status.UNREACHABLE)

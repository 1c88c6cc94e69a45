"""``/api/connect``: the gateway's own dialect; docs/protocol.md specifies it."""

from collections.abc import Sequence

from twisted.web.server import Request

from portofcall.egress.named_target import Targets
from portofcall.errors import InvalidTarget, TargetError
from portofcall.target import Target, TargetName, Wanted
from portofcall.web.dialects.dialect import Asked, Query, once, read_token
from portofcall.web.request_head import parse_query


class OwnDialect:
    """``?host=H&port=P``, ``?target=NAME`` or ``?token=TOKEN``; every failure to connect is a Close frame.

    Pages can read a Close frame, but not the status of an upgrade.
    """

    refusals: tuple[type[TargetError], ...] = ()

    def takes(self, path: Sequence[bytes]) -> bool:
        """There is nothing below it."""
        return not path

    def read(self, request: Request, targets: Targets) -> Asked:
        """Read the query."""
        query = parse_query(request.uri)
        tickets = query.get(b"ticket", ())
        try:
            return Asked(_target(query), tickets)
        except InvalidTarget as error:
            return Asked(error, tickets)


def _target(query: Query) -> Wanted:
    ways = {"target": b"target" in query, "token": b"token" in query}
    if not any(ways.values()):
        return Target.parse(once(query, "host"), once(query, "port"))
    if all(ways.values()):
        raise InvalidTarget("token must be given without target")
    (way,) = (name for name, given in ways.items() if given)
    if b"host" in query or b"port" in query:
        raise InvalidTarget(f"{way} must be given without host and port")
    return read_token(query) if way == "token" else TargetName.parse(once(query, "target"))

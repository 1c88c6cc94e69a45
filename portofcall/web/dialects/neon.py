"""``/v1``: what the driver ``@neondatabase/serverless`` asks of Neon's wsproxy."""

from collections.abc import Sequence

from twisted.web.server import Request

from portofcall.egress.named_target import Targets
from portofcall.errors import InvalidTarget, TargetError
from portofcall.target import Target
from portofcall.web.dialects.dialect import Asked, once
from portofcall.web.request_head import parse_query


class NeonDialect:
    """``?address=HOST:PORT``, or nothing for the default target.

    The driver shows the status of a response, and neither code nor reason of a Close frame, so that every
    failure is a status. It always appends ``?address=`` to the URL that it is given; a ticket is therefore
    accepted in the path as well: ``/v1/TICKET``.
    """

    refusals: tuple[type[TargetError], ...] = (TargetError,)

    def takes(self, path: Sequence[bytes]) -> bool:
        """There may be a ticket below it."""
        return len(path) <= 1

    def read(self, request: Request, targets: Targets) -> Asked:
        """Read the path and the query."""
        query = parse_query(request.uri)
        in_path = [segment for segment in request.postpath or () if segment]
        tickets = (*in_path, *query.get(b"ticket", ()))
        if b"address" not in query and targets.default is not None:
            return Asked(targets.default, tickets)
        try:
            host, colon, port = once(query, "address").rpartition(":")
            if not colon:
                raise InvalidTarget("address must be HOST:PORT")
            return Asked(Target.parse(host, port), tickets)
        except InvalidTarget as error:
            return Asked(error, tickets)

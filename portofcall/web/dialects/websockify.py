"""``/websockify``, and an upgrade at ``/``: what clients of websockify ask for, such as noVNC.

`portofcall.websockify` is the program with websockify's command line, which takes upgrades at any path.
"""

from collections.abc import Sequence

from twisted.web.server import Request

from portofcall.egress.named_target import Targets
from portofcall.errors import Blocked, InvalidTarget, TargetBusy, TargetError, UnknownTarget
from portofcall.target import TargetName
from portofcall.web.dialects.dialect import Asked, read_token
from portofcall.web.request_head import parse_query


class WebsockifyDialect:
    """``?token=TOKEN``, or nothing for the default target.

    What is wrong with the request is an HTTP status, as websockify, which looks tokens up before it responds,
    accepts no such client. A target that can't be reached is a Close frame, which a page can show, as it is
    there too. A token may also be the name of a target, which is no secret.
    """

    refusals: tuple[type[TargetError], ...] = (InvalidTarget, UnknownTarget, Blocked, TargetBusy)

    def takes(self, path: Sequence[bytes]) -> bool:
        """There is nothing below it."""
        return not path

    def read(self, request: Request, targets: Targets) -> Asked:
        """Read the query."""
        query = parse_query(request.uri)
        tickets = query.get(b"ticket", ())
        if b"token" not in query:
            return Asked(targets.default or UnknownTarget("there is no default target"), tickets)
        try:
            token = read_token(query)
        except InvalidTarget as error:
            return Asked(error, tickets)
        name = TargetName(token.secret)
        return Asked(name if name in targets.by_name else token, tickets)

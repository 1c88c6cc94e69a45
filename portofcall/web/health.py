"""``/healthz`` and ``/readyz``: for load balancers and orchestrators, without credentials."""

from collections.abc import Callable
from typing import Final

from twisted.web.resource import Resource
from twisted.web.server import Request

from portofcall.web.responses import no_file, only_get, text_response

#: GET and HEAD of these are neither logged nor counted in a client's request rate: a probe comes every few
#: seconds, often from the address of a proxy with many clients. They take turns like all others.
HEALTH_PATHS: Final = frozenset({b"/healthz", b"/readyz"})
_METHODS: Final = (b"GET", b"HEAD")


def is_health_check(method: bytes, path: bytes) -> bool:
    """Whether a request is for `HEALTH_PATHS`, and for nothing else.

    Args:
        method: as the client sent it.
        path: the same, with any query. A host in front makes it a request like any other.
    """
    return method in _METHODS and path.partition(b"?")[0] in HEALTH_PATHS


class Health(Resource):
    """A leaf that responds 200 with ``ok``, or 503 with the reason why not.

    Args:
        problem: returns the reason, in a word; empty if all is well.
    """

    isLeaf = True

    def __init__(self, problem: Callable[[], str]) -> None:
        super().__init__()
        self._problem = problem

    def render(self, request: Request) -> bytes:
        """Respond to GET and HEAD; other methods are 405, and paths below are 404."""
        if request.postpath:
            return no_file(request)
        if request.method not in _METHODS:
            return only_get(request)
        problem = self._problem()
        headers = {"Cache-Control": "no-store"}
        return text_response(request, f"{problem or 'ok'}\n", status=503 if problem else 200, headers=headers)


def put_health(
    root: Resource,
    *,
    not_ready: Callable[[], str],
    wrap: Callable[[Health], Resource] = lambda health: health,
) -> None:
    """Add both to the root of a resource tree.

    Args:
        root: gets ``healthz``, whose response proves that the process lives, and ``readyz``.
        not_ready: returns why no client should be sent here, in a word; empty if nothing speaks against it.
        wrap: returns what takes the place of each of them.
    """
    root.putChild(b"healthz", wrap(Health(lambda: "")))
    root.putChild(b"readyz", wrap(Health(not_ready)))

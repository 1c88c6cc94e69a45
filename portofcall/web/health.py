"""``/healthz`` and ``/readyz``: for load balancers and orchestrators, without credentials."""

from collections.abc import Callable, Collection
from typing import Any, Final

from twisted.web.resource import Resource
from twisted.web.server import Request

from portofcall.web.responses import no_file, only_get, text_response

_METHODS: Final = (b"GET", b"HEAD")


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
    root: Resource, *, not_ready: Callable[[], str], make: Callable[[Callable[[], str]], Health] = Health
) -> None:
    """Add both to the root of a resource tree.

    Args:
        root: gets ``healthz``, whose response proves that the process lives, and ``readyz``.
        not_ready: returns why no client should be sent here, in a word; empty if nothing speaks against it.
        make: makes each of them from what returns its problem.
    """
    root.putChild(b"healthz", make(lambda: ""))
    root.putChild(b"readyz", make(not_ready))


def health_paths(root: Any) -> frozenset[bytes]:
    """Return the paths of the health checks at the root of a resource tree, and one level below it."""
    found = set()
    for name, child in root.children.items():
        if isinstance(child, Health):
            found.add(b"/" + name)
        else:
            below = getattr(child, "children", {}).items()
            found |= {b"/%b/%b" % (name, end) for end, leaf in below if isinstance(leaf, Health)}
    return frozenset(found)


def is_health_check(method: bytes, uri: bytes, paths: Collection[bytes]) -> bool:
    """Whether a request is a health check, and nothing else.

    Those are neither logged nor counted in a client's request rate: a load balancer sends one every few
    seconds, often from an address that it shares with many clients. They take turns like all others.

    Args:
        method: as the client sent it.
        uri: the same, with any query. A host in front makes it a request like any other.
        paths: see `health_paths`.
    """
    return method in _METHODS and uri.partition(b"?")[0] in paths

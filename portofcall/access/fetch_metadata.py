"""Keep pages of other sites from using what GET does: browsers send no Origin with it.

A page can put any address into an image or a link, and the visitor's browser requests it. Sec-Fetch-Site (W3C
Fetch Metadata) shows that, but browsers send it only over TLS or to loopback. Without it, User-Agent shows
that it is a browser; a page can't change that in such a request.
"""

from collections.abc import Sequence
from typing import Final

from portofcall.errors import OriginRefused

#: Pages of the gateway's own origin, and what people type themselves.
_ALLOWED: Final = {b"same-origin", b"none"}


def judge_fetch(sites: Sequence[bytes], agents: Sequence[bytes]) -> None:
    """Refuse a GET request that a page of another site may have caused.

    Args:
        sites: the values of the Sec-Fetch-Site header.
        agents: the values of the User-Agent header.

    Raises:
        OriginRefused: a page of another site sent it, or a browser without Sec-Fetch-Site.
    """
    if sites:
        if not _ALLOWED.issuperset(sites):
            raise OriginRefused("pages of other sites are not allowed to use this gateway")
    elif any(agent.startswith(b"Mozilla/") for agent in agents):
        raise OriginRefused("a browser can use this over TLS or on loopback only; use the page or the API")

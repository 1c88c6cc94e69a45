"""websockify's authentication plugins: ``authenticate(headers, target_host, target_port)``.

They return, or raise `PluginRefusal`. The names of ``headers`` are in any case.
"""

import base64
import binascii
from hmac import compare_digest
from http.client import HTTPMessage
from typing import Final

from portofcall.websockify.plugin_errors import PluginError, PluginRefusal

_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="Websockify"'}

#: As plugins get them: any case finds a name.
Headers = HTTPMessage


class BasicHTTPAuth:
    """One user with a password.

    Args:
        source: ``user:password``.
    """

    def __init__(self, source: str | None) -> None:
        if source is None or ":" not in source:
            raise PluginError("expected USER:PASSWORD")
        self._accepted = source.encode()

    def authenticate(self, headers: Headers, target_host: str | None, target_port: object) -> None:
        """Check the password, which may be in UTF-8 or ISO 8859-1 (RFC 7617)."""
        header = headers.get("Authorization", "")
        if not header:
            raise PluginRefusal(401, headers=_CHALLENGE)
        scheme, _, coded = header.partition(" ")
        if scheme.lower() != "basic":
            raise PluginRefusal(403)
        try:
            given = base64.b64decode(coded.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise PluginRefusal(403) from None
        accepted = compare_digest(given, self._accepted)
        if not (compare_digest(given.decode("latin-1").encode(), self._accepted) or accepted):
            raise PluginRefusal(401, headers=_CHALLENGE)


class ExpectOrigin:
    """The pages of some origins.

    Args:
        source: the origins, with white space in between.
    """

    def __init__(self, source: str | None) -> None:
        self._accepted = frozenset((source or "").split())

    def authenticate(self, headers: Headers, target_host: str | None, target_port: object) -> None:
        """Check the origin. A client that sends none is refused."""
        if headers.get("Origin") not in self._accepted:
            raise PluginRefusal(403, msg="Invalid Origin")


class ClientCertCNAuth:
    """Clients with certificates, by their common names.

    Args:
        source: the names, with white space in between.
    """

    def __init__(self, source: str | None) -> None:
        self._accepted = frozenset((source or "").split())

    def authenticate(self, headers: Headers, target_host: str | None, target_port: object) -> None:
        """Check the common name, which the server has put into the headers."""
        if headers.get("SSL_CLIENT_S_DN_CN") not in self._accepted:
            raise PluginRefusal(403)

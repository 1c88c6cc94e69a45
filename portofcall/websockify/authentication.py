"""Clients, as an authentication plugin sees them."""

import re
from functools import partial
from http import HTTPStatus
from http.client import HTTPMessage
from typing import Any, Final

from cryptography.x509.oid import NameOID
from twisted.internet.interfaces import ISSLTransport
from twisted.web.server import Request

from portofcall.egress.named_target import NamedTarget
from portofcall.errors import Unauthorized, printable
from portofcall.events import Caller
from portofcall.limits.failure_backoff import FailureBackoff
from portofcall.target import Target
from portofcall.websockify.plugin_calls import PluginCalls
from portofcall.websockify.plugin_errors import is_refusal
from portofcall.websockify.plugins import Plugin

_COMMON_NAME: Final = "SSL_CLIENT_S_DN_CN"
_REFUSAL: Final = 403
#: Headers of a refusal that are left out: those of its body and its framing, which are the gateway's.
_OURS: Final = re.compile(r"(?i)content-|(transfer-encoding|connection)\Z")


class Authentication:
    """Asks a plugin about each client.

    Args:
        plugin: is asked.
        calls: calls it.
        failures: counts failed attempts of each client.
    """

    def __init__(self, plugin: Plugin, calls: PluginCalls, failures: FailureBackoff) -> None:
        self._plugin = plugin
        self._calls = calls
        self._failures = failures

    async def demand(self, request: Request, caller: Caller, target: NamedTarget | None) -> None:
        """Return if the client may go on.

        Args:
            request: whose headers are plain text.
            caller: its client.
            target: where it is going to; None for a file.

        Raises:
            Unauthorized: the plugin refuses it, with the status that the plugin has chosen.
            TooManyRequests: too many attempts of the client have failed.
            InternalError: the plugin failed.
        """
        self._failures.judge(caller.key)
        headers = plugin_headers(request)
        place = None if target is None else target.place
        host, port = (place.host, place.port) if isinstance(place, Target) else (None, None)
        attempted = "Authorization" in headers
        try:
            await self._calls.call(
                self._plugin.name,
                partial(self._plugin.method, headers=headers, target_host=host, target_port=port),
                client=caller.key,
                may_refuse=True,
            )
        except Exception as problem:
            if not is_refusal(problem):
                raise
            # Many may have been tried at once.
            self._failures.judge(caller.key)
            refusal: Any = problem
            if attempted and refusal.code in (401, 403):
                self._failures.count(caller.key)
            raise _refusal(refusal, attempted=attempted) from None
        self._failures.judge(caller.key)
        if attempted:
            self._failures.forget(caller.key)


def plugin_headers(request: Request) -> HTTPMessage:
    """Return the headers of a request as plugins get them: any case finds a name.

    Those that begin with ``SSL_`` are ours: what the client sent under such names is left out.
    """
    headers = HTTPMessage()
    for name, values in request.requestHeaders.getAllRawHeaders():
        text = name.decode("latin-1")
        if not text.upper().replace("-", "_").startswith("SSL_"):
            for value in values:
                headers[text] = value.decode("latin-1")
    common_name = _common_name(request.channel.transport)
    if common_name is not None:
        headers[_COMMON_NAME] = common_name
    return headers


def _common_name(transport: Any) -> str | None:
    """Return the last common name of the client's certificate, which was verified in the TLS handshake."""
    certificate: Any = transport.getPeerCertificate() if ISSLTransport.providedBy(transport) else None
    if certificate is None:
        return None
    try:
        names = certificate.to_cryptography().subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        # Signed by the authority, but not well-formed.
        return None
    return str(names[-1].value) if names else None


def _refusal(problem: Any, *, attempted: bool) -> Unauthorized:
    try:
        status = HTTPStatus(problem.code if 300 <= problem.code <= 599 else _REFUSAL)
    except ValueError:
        status = HTTPStatus.FORBIDDEN
    message = getattr(problem, "msg", None)
    error = Unauthorized(printable(message, 200) if isinstance(message, str) and message else status.phrase)
    error.http_status = status.value
    error.attempted = "password" if attempted else "none"
    headers = getattr(problem, "headers", None) or {}
    error.headers.update(
        (str(name), str(value)) for name, value in headers.items() if not _OURS.match(str(name))
    )
    return error

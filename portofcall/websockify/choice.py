"""Which target a request leads to, and whether its client may go there."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from twisted.web.server import Request

from portofcall.egress.named_target import NamedTarget, TargetsError, TLSTrust, parse_socket_path
from portofcall.errors import InvalidTarget, UnknownTarget
from portofcall.events import Caller
from portofcall.limits.failure_backoff import FailureBackoff
from portofcall.target import Target, Token
from portofcall.web.request_head import parse_query
from portofcall.websockify.authentication import Authentication
from portofcall.websockify.plugin_calls import PluginCalls
from portofcall.websockify.plugin_errors import PluginError
from portofcall.websockify.plugins import Plugin

_SOCKET: Final = "unix_socket"
#: Host may have a port behind it; an IPv6 address is in brackets.
_HOST: Final = re.compile(r"(\[[^]]*\]|[^:]*)(?::[0-9]*)?")


class Tokens:
    """Finds the targets of tokens.

    Args:
        plugin: looks them up.
        calls: calls it.
        failures: counts the tokens of each client that were not found.
        in_host: whether the token is the Host header, without its port.
        tls: whether the gateway speaks TLS to the targets.
    """

    def __init__(
        self,
        plugin: Plugin,
        calls: PluginCalls,
        failures: FailureBackoff,
        *,
        in_host: bool,
        tls: bool,
    ) -> None:
        self._plugin = plugin
        self._calls = calls
        self._failures = failures
        self._in_host = in_host
        self._tls = TLSTrust() if tls else None

    async def find(self, request: Request, caller: Caller) -> NamedTarget:
        """Return the target of a request.

        Raises:
            InvalidTarget: the request has no token.
            UnknownTarget: there is no target with its token.
            TooManyRequests: too many tokens of the client were not found.
            InternalError: the plugin failed.
        """
        token = _host_token(request) if self._in_host else _query_token(request)
        self._failures.judge(caller.key)
        found = await self._calls.call(self._plugin.name, self._look_up, token, client=caller.key)
        # Many may have been asked for at once.
        self._failures.judge(caller.key)
        if found is None:
            self._failures.count(caller.key)
            raise UnknownTarget("there is no target with this token")
        self._failures.forget(caller.key)
        assert isinstance(found, NamedTarget)
        return found

    def _look_up(self, token: str) -> NamedTarget | None:
        found = self._plugin.method(token)
        return None if found is None else target_of(found, Token(token), self._tls)


def target_of(found: Any, token: Token, tls: TLSTrust | None) -> NamedTarget:
    """Make a target of what a plugin has found: host and port, or ``unix_socket`` and a path.

    Args:
        found: a sequence of two; a port may be text, bytes or a number.
        token: stands for it in the log.
        tls: as of `NamedTarget`; UNIX sockets have none.

    Raises:
        PluginError: it is something else.
    """
    if not isinstance(found, Sequence) or isinstance(found, str | bytes) or len(found) != 2:
        raise PluginError("expected host and port, or 'unix_socket' and a path")
    host, port = (word.decode("latin-1") if isinstance(word, bytes) else word for word in found)
    if not isinstance(host, str) or not isinstance(port, str | int):
        raise PluginError("expected host and port as text")
    place: Target | PurePosixPath
    try:
        if host == _SOCKET:
            return NamedTarget(token, parse_socket_path(str(port)))
        place = Target.parse(host.strip("[]"), port)
    except (TargetsError, InvalidTarget) as problem:
        raise PluginError(f"the target of {token}: {problem}") from None
    return NamedTarget(token, place, tls)


class Choice:
    """Chooses the target of each request, and has its client authenticated.

    Args:
        target: the only one, or what finds it by a token.
        authentication: None means that every client may go on.
    """

    def __init__(self, target: NamedTarget | Tokens, authentication: Authentication | None) -> None:
        self._target = target
        self._authentication = authentication

    async def __call__(self, request: Request, caller: Caller) -> NamedTarget:
        """Return the target, or raise why the request is refused."""
        target = self._target
        found = await target.find(request, caller) if isinstance(target, Tokens) else target
        if self._authentication is not None:
            await self._authentication.demand(request, caller, found)
        return found


def _query_token(request: Request) -> str:
    values = [value for value in parse_query(request.uri).get(b"token", ()) if value]
    if not values:
        raise InvalidTarget("token must be given in the query")
    try:
        return values[0].decode().rstrip("\n")
    except UnicodeDecodeError:
        raise InvalidTarget("token must be UTF-8") from None


def _host_token(request: Request) -> str:
    (host,) = request.requestHeaders.getRawHeaders(b"host", [b""])[:1]
    match = _HOST.fullmatch(host.decode("latin-1"))
    if match is None or not match[1]:
        raise InvalidTarget("Host must be a token, with an optional port")
    return match[1]

"""websockify's token plugins that ask others: an HTTP service, Redis, or the token itself (JWT)."""

import csv
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from twisted.logger import Logger

from portofcall.egress.line_file import read_text
from portofcall.errors import printable
from portofcall.websockify.plugin_errors import PluginError
from portofcall.websockify.token_plugins import Found, demand_source, split_target

#: Less than a call of a plugin may take.
_TIMEOUT_SECONDS: Final = 8.0
_MOST_BYTES: Final = 64 * 1024
#: The statuses of a service that has no such token. 401, 403, 429 and others are about the service itself.
_NOT_FOUND: Final = frozenset({400, 404, 410})
_REDIS_PORT: Final = 6379
#: RFC 7516 §3.1; a JWS has two.
_DOTS_IN_JWE: Final = 4
_INSTALL: Final = "pip install 'portofcall[websockify]'"

_log = Logger()


class BaseTokenAPI:
    """An HTTP service that responds with ``HOST:PORT``; with 400, 404 or 410 if there is no such token.

    Args:
        source: a URL with ``%s`` for the token.
    """

    def __init__(self, source: str | None) -> None:
        self._url = demand_source(source, "a URL with %s for the token")
        if self._url.count("%s") != 1 or urlsplit(self._url).scheme not in ("http", "https"):
            raise PluginError("expected an http or https URL with %s for the token")
        # Without those for files and FTP, to which a redirect could lead.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    def lookup(self, token: str) -> Found:
        """Return the target of a token; None if there is none."""
        # Quoted: a token must not lead to another path or parameter of the service.
        url = self._url.replace("%s", quote(token, safe="", errors="surrogatepass"))
        try:
            with self._opener.open(url, timeout=_TIMEOUT_SECONDS) as response:
                body = response.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as problem:
            problem.close()
            if problem.code in _NOT_FOUND:
                return None
            raise PluginError(f"the token service responded with {problem.code}") from None
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "reason", problem)
            raise PluginError(f"the token service can't be reached ({type(reason).__name__})") from None
        if len(body) > _MOST_BYTES:
            raise PluginError(f"the token service responded with more than {_MOST_BYTES} bytes")
        return self._parse(body)

    def _parse(self, body: bytes) -> Found:
        return split_target(body.decode("utf-8", "replace").strip())


class JSONTokenApi(BaseTokenAPI):
    """The same, which responds with ``{"host": HOST, "port": PORT}``."""

    def _parse(self, body: bytes) -> Found:
        return _target_of(body, "the token service's response")


class JWTTokenApi:
    """Tokens that are signed (JWS), or signed and encrypted (JWE), and name their target.

    The claims are ``host`` and ``port``, and perhaps ``nbf`` and ``exp`` (RFC 7519).

    Args:
        source: the file of the key: PEM, or the octets of a secret. It is read at each look-up.
    """

    def __init__(self, source: str | None) -> None:
        self._path = Path(demand_source(source, "the file of a key")).absolute()
        try:
            import jwcrypto.jwk  # noqa: PLC0415 - few need it
            import jwcrypto.jwt  # noqa: PLC0415
        except ImportError:
            raise PluginError(f"needs jwcrypto: {_INSTALL}") from None
        self._jwk, self._jwt = jwcrypto.jwk, jwcrypto.jwt
        self._key()

    def lookup(self, token: str) -> Found:
        """Return the target of a token; None if it is not valid, or not now."""
        key = self._key()
        try:
            if token.count(".") == _DOTS_IN_JWE:
                # Encrypted with the same key; what is inside is signed.
                token = self._jwt.JWT(key=key, jwt=token, expected_type="JWE").claims
            claims = json.loads(self._jwt.JWT(key=key, jwt=token, expected_type="JWS").claims)
            now = time.time()
            valid = claims.get("nbf", now) <= now <= claims.get("exp", now)
        except Exception as problem:  # noqa: BLE001 - jwcrypto raises many kinds of errors
            _log.info("a token is not valid: {problem}", problem=type(problem).__name__)
            return None
        if not valid:
            _log.info("a token is not valid at this time")
            return None
        return _target_of(claims, "a token's claims")

    def _key(self) -> Any:
        try:
            content = read_text(self._path, ValueError)
        except ValueError as problem:
            raise PluginError(f"{printable(str(self._path), 200)}: {problem}") from None
        key = self._jwk.JWK()
        try:
            if "-----BEGIN" in content:
                key.import_from_pem(content.encode())
            else:
                key.import_key(kty="oct", k=content.strip())
        except Exception:  # noqa: BLE001 - as above
            where = printable(str(self._path), 200)
            raise PluginError(f"{where}: expected a key in PEM, or base64url") from None
        return key


class TokenRedis:
    """Redis, in which each token is a key; its value is ``HOST:PORT`` or ``{"host": "HOST:PORT"}``.

    Args:
        source: ``HOST[:PORT[:DATABASE[:PASSWORD[:NAMESPACE]]]]``; quotes keep colons together.
    """

    def __init__(self, source: str | None) -> None:
        expected = "HOST[:PORT[:DATABASE[:PASSWORD[:NAMESPACE]]]]"
        (fields,) = csv.reader([demand_source(source, expected)], delimiter=":")
        host, port, database, password, namespace, *more = [*fields, "", "", "", ""]
        if any(more) or not host or not all(number.isdecimal() for number in (port, database) if number):
            raise PluginError(f"expected {expected}")
        try:
            import redis  # noqa: PLC0415 - few need it
        except ImportError:
            raise PluginError(f"needs redis: {_INSTALL}") from None
        self._redis = redis
        self._settings: dict[str, Any] = {
            "host": host,
            "port": int(port or _REDIS_PORT),
            "db": int(database or 0),
            "password": password or None,
            "socket_timeout": _TIMEOUT_SECONDS / 2,
            "socket_connect_timeout": _TIMEOUT_SECONDS / 2,
            "single_connection_client": True,
        }
        self._prefix = f"{namespace}:" if namespace else ""

    def lookup(self, token: str) -> Found:
        """Return the target of a token; None if there is none."""
        try:
            with self._redis.Redis(**self._settings) as client:
                value: Any = client.get(self._prefix + token)
        except self._redis.RedisError as problem:
            raise PluginError(f"Redis can't be asked ({type(problem).__name__})") from None
        if value is None:
            return None
        text = value.decode("utf-8", "replace").strip()
        if not text.startswith("{"):
            return split_target(text)
        return split_target(_fields(text, "the value in Redis", ("host",))[0])


def _target_of(text: bytes | Any, what: str) -> Sequence[str]:
    host, port = _fields(text, what, ("host", "port"))
    return (host, port)


def _fields(text: str | bytes | Any, what: str, names: Sequence[str]) -> list[str]:
    try:
        found = json.loads(text) if isinstance(text, str | bytes) else text
        values = [found[name] for name in names]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PluginError(f"{what}: expected JSON with {' and '.join(names)}") from None
    if not all(isinstance(value, str | int) for value in values):
        raise PluginError(f"{what}: expected text or a number as {' and '.join(names)}")
    return [str(value) for value in values]

"""Plugins of somebody else's, by their dotted names."""

from typing import Any


class Tokens:
    """Finds what its source says, whatever the token is: as Python.

    Args:
        source: an expression.
    """

    def __init__(self, source: str) -> None:
        self._source = source

    def lookup(self, token: str) -> Any:
        """Evaluate the source."""
        return eval(self._source, {"token": token})


class Refused(Exception):
    """Like websockify's AuthenticationError.

    Args:
        code: the status.
    """

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code
        self.headers = {
            "Location": "/sign-in",
            "X-Forged": "a\r\nSet-Cookie: b",
            "content-length": "1",
            "Content-Encoding": "gzip",
            "Transfer-Encoding": "chunked",
            "Connection": "upgrade",
        }
        self.msg = None


class Auth:
    """Refuses with the status in its source, and keeps what it was asked."""

    asked: list[Any] = []  # noqa: RUF012

    def __init__(self, source: str) -> None:
        self._code = int(source)

    def authenticate(self, headers: Any, target_host: Any, target_port: Any) -> None:
        """Refuse."""
        self.asked.append((headers, target_host, target_port))
        if self._code:
            raise Refused(self._code)


class Broken:
    """Can't be made."""

    def __init__(self, source: str) -> None:
        raise SystemExit

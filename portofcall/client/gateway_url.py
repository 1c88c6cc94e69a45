"""The URL of a gateway, parsed."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from portofcall.errors import InvalidTarget
from portofcall.target import Requested, Target, TargetName

#: The path of the tunnel where the URL has none.
DEFAULT_PATH: Final = "/api/connect"
_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_SECURE: Final = {"wss", "https"}
_EXPECTED: Final = "GATEWAY: expected ws://, wss://, http:// or https:// with a host, or unix:/path"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayURL:
    """Where a gateway is. Make it with `parse`.

    Attributes:
        server: host and port; ``localhost`` and 80 for a UNIX socket, as nothing is resolved.
        unix_path: the path of a UNIX socket; empty for TCP.
        secure: whether it speaks TLS.
        path: of the tunnel, with a query if the URL has one.
        user: None if the URL has none.
        password: None if the URL has none.
    """

    server: Target
    unix_path: str = ""
    secure: bool = False
    path: str = DEFAULT_PATH
    user: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, text: str) -> "GatewayURL":
        """Parse ``wss://user:password@host:port/path?query``, with most of it optional, or ``unix:/path``.

        Raises:
            ValueError: the message names what was expected, and quotes neither user nor password.
        """
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path.startswith("/") or "\0" in path:
                raise ValueError("GATEWAY: expected an absolute path after unix:")
            return cls(server=Target("localhost", 80), unix_path=path)
        if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
            raise ValueError(f"{_EXPECTED}, of visible ASCII characters")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError(_EXPECTED) from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(_EXPECTED)
        if parts.fragment:
            raise ValueError("GATEWAY: expected no fragment (#) in the URL")
        try:
            server = Target.parse(parts.hostname, _PORTS[parts.scheme] if port is None else port)
        except InvalidTarget as error:
            raise ValueError(f"GATEWAY: {error.sentence}") from None
        path = DEFAULT_PATH if parts.path in ("", "/") else parts.path
        return cls(
            server=server,
            secure=parts.scheme in _SECURE,
            path=f"{path}?{parts.query}" if parts.query else path,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    @property
    def host_header(self) -> str:
        """The value of the Host header (RFC 9110 §7.2)."""
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        return host if self.server.port == (443 if self.secure else 80) else f"{host}:{self.server.port}"

    def resource(self, target: Requested) -> str:
        """Return the path and query that ask for a tunnel to ``target``."""
        if isinstance(target, TargetName):
            query = f"target={quote(target.name)}"
        else:
            query = f"host={quote(target.host, safe=':')}&port={target.port}"
        return f"{self.path}{'&' if '?' in self.path else '?'}{query}"

    def api(self, name: str) -> str:
        """Return the path of a resource of the API: beside the tunnel's own."""
        path, _, query = self.path.partition("?")
        beside = f"{path.rpartition('/')[0]}/{name}"
        return f"{beside}?{query}" if query else beside

    def __str__(self) -> str:
        """The gateway without user, password and query, for messages."""
        if self.unix_path:
            return f"unix:{self.unix_path}"
        return f"{'wss' if self.secure else 'ws'}://{self.host_header}"

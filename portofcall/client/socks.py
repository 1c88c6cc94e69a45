"""The server's side of a SOCKS5 handshake (RFC 1928), with the passwords of RFC 1929. It knows no socket.

Each message of a client has at most 513 bytes, so no more is ever kept. What comes after the request is data
for the target.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import ip_address
from typing import Final

from portofcall.client.problem import Problem, Status
from portofcall.errors import InvalidTarget
from portofcall.target import Target

_VERSION, _PASSWORD_VERSION = 5, 1
_NO_AUTHENTICATION, _PASSWORD, _NO_METHOD = 0, 2, 0xFF
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_ADDRESS_BYTES: Final = {_IPV4: 4, _IPV6: 16}


class Reply(IntEnum):
    """The codes of a reply (RFC 1928 §6)."""

    SUCCEEDED = 0
    FAILURE = 1
    NOT_ALLOWED = 2
    NETWORK_UNREACHABLE = 3
    HOST_UNREACHABLE = 4
    REFUSED = 5
    TTL_EXPIRED = 6
    COMMAND_NOT_SUPPORTED = 7
    ADDRESS_TYPE_NOT_SUPPORTED = 8


_BY_SLUG: Final[Mapping[str, Reply]] = {
    "refused": Reply.REFUSED,
    "unreachable": Reply.NETWORK_UNREACHABLE,
    "name-not-found": Reply.HOST_UNREACHABLE,
    "unknown-target": Reply.HOST_UNREACHABLE,
    "dns-timeout": Reply.HOST_UNREACHABLE,
    "connect-timeout": Reply.TTL_EXPIRED,
    "socks-command": Reply.COMMAND_NOT_SUPPORTED,
    "socks-address": Reply.ADDRESS_TYPE_NOT_SUPPORTED,
}


def reply_code(problem: Problem) -> Reply:
    """Return the code that means a problem."""
    if problem.status is Status.FORBIDDEN:
        return Reply.NOT_ALLOWED
    return _BY_SLUG.get(problem.slug, Reply.FAILURE)


def reply(code: Reply) -> bytes:
    """Return a reply. Its address is 0.0.0.0, as that of the gateway's connection is not known here."""
    return bytes((_VERSION, code, 0, _IPV4)) + bytes(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class SOCKSLogin:
    """The user and the password that clients need, in bytes."""

    user: bytes
    password: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "SOCKSLogin":
        """Parse ``USER:PASSWORD``.

        Raises:
            ValueError: it is not that, or one of both is empty or has more than 255 bytes (RFC 1929 §2); the
                message quotes nothing.
        """
        user, colon, password = (part.encode() for part in text.partition(":"))
        if not colon or not 0 < len(user) < 256 or not 0 < len(password) < 256:
            raise ValueError("expected USER:PASSWORD, of 1 to 255 bytes each")
        return cls(user=user, password=password)

    def matches(self, user: bytes, password: bytes) -> bool:
        """Whether these are the user and the password; takes as long for wrong ones."""
        right_user, right_password = (
            hmac.compare_digest(mine, given) for mine, given in ((self.user, user), (self.password, password))
        )
        return right_user and right_password


class _Incomplete(Exception):
    """More has to come."""


class SOCKSHandshake:
    """One handshake: bytes of the client go in, bytes for the client and at last the target come out.

    Args:
        login: what clients need; None means nothing.

    Attributes:
        target: where to, once the request is complete.
    """

    def __init__(self, login: SOCKSLogin | None = None) -> None:
        self.target: Target | None = None
        self._login = login
        self._kept = b""
        self._step = self._greet

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the client.

        Returns:
            What it is to be sent.

        Raises:
            Refusal: the handshake is over.
        """
        self._kept += data
        answer = b""
        while self.target is None:
            try:
                answer += self._step()
            except _Incomplete:
                break
            except Refusal as refusal:
                refusal.answer = answer + refusal.answer
                raise
        return answer

    def take_rest(self) -> bytes:
        """Return what came after the request."""
        rest, self._kept = self._kept, b""
        return rest

    def _greet(self) -> bytes:
        version, count = self._look(2)
        if version != _VERSION:
            raise _refusal("socks-version", f"expected SOCKS version 5, got {version}")
        methods = self._look(2 + count)[2:]
        wanted = _NO_AUTHENTICATION if self._login is None else _PASSWORD
        if wanted not in methods:
            raise _refusal(
                "socks-authentication",
                "the client offers no user and password"
                if self._login
                else "the client insists on authentication",
                answer=bytes((_VERSION, _NO_METHOD)),
            )
        self._drop(2 + count)
        self._step = self._request if self._login is None else self._log_in
        return bytes((_VERSION, wanted))

    def _log_in(self) -> bytes:
        assert self._login is not None
        version, user_size = self._look(2)
        if version != _PASSWORD_VERSION:
            raise _refusal("socks-authentication", "expected user and password of RFC 1929")
        password_size = self._look(3 + user_size)[-1]
        message = self._look(3 + user_size + password_size)
        if not self._login.matches(message[2 : 2 + user_size], message[3 + user_size :]):
            raise _refusal(
                "socks-authentication", "wrong user or password", answer=bytes((_PASSWORD_VERSION, 1))
            )
        self._drop(len(message))
        self._step = self._request
        return bytes((_PASSWORD_VERSION, 0))

    def _request(self) -> bytes:
        version, command, _, kind = self._look(4)
        if version != _VERSION:
            raise _refusal("socks-version", f"expected SOCKS version 5, got {version}")
        if command != _CONNECT:
            raise _failed("socks-command", "only CONNECT is supported, neither BIND nor UDP ASSOCIATE")
        if kind == _NAME:
            start, size = 5, self._look(5)[-1]
        elif kind in _ADDRESS_BYTES:
            start, size = 4, _ADDRESS_BYTES[kind]
        else:
            raise _failed("socks-address", f"expected an address of type 1, 3 or 4, got {kind}")
        message = self._look(start + size + 2)
        host, port = message[start : start + size], int.from_bytes(message[-2:])
        try:
            text = host.decode() if kind == _NAME else str(ip_address(host))
            self.target = Target.parse(text, port)
        except UnicodeDecodeError:
            raise _failed("invalid-target", "host: expected UTF-8") from None
        except InvalidTarget as error:
            raise _failed("invalid-target", error.sentence) from None
        self._drop(len(message))
        return b""

    def _look(self, size: int) -> bytes:
        if len(self._kept) < size:
            raise _Incomplete
        return self._kept[:size]

    def _drop(self, size: int) -> None:
        self._kept = self._kept[size:]


class Refusal(Exception):
    """The handshake is over.

    Attributes:
        problem: why.
        answer: what the client is to be sent before its connection is closed.
    """

    def __init__(self, problem: Problem, answer: bytes) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.answer = answer


def _refusal(slug: str, sentence: str, *, answer: bytes = b"") -> Refusal:
    return Refusal(Problem(slug, sentence, Status.USAGE), answer)


def _failed(slug: str, sentence: str) -> Refusal:
    problem = Problem(slug, sentence, Status.USAGE)
    return Refusal(problem, reply(reply_code(problem)))

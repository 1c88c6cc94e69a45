"""What plugins raise."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: The name of websockify's class.
_THEIRS: Final = "AuthenticationError"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class PluginError(Exception):
    """A plugin can't do its work. The message is one line for the log, without secrets."""


class PluginRefusal(Exception):
    """A client is refused: websockify's ``AuthenticationError``, of which any class may have its own.

    Attributes:
        code: the HTTP status.
        headers: for the response.
        msg: a sentence for the client; None for that of the status.
    """

    def __init__(
        self, code: int = 403, *, headers: Mapping[str, str] = _NO_HEADERS, msg: str | None = None
    ) -> None:
        super().__init__(code, msg)
        self.code = code
        self.headers = headers
        self.msg = msg


def is_refusal(problem: BaseException) -> bool:
    """Whether a plugin has refused a client, with `PluginRefusal` or a class of its own like it.

    Errors of libraries may have a ``code`` as well, such as `urllib.error.HTTPError`; they are none.
    """
    if not isinstance(problem, Exception) or not isinstance(getattr(problem, "code", None), int):
        return False
    if any(base.__name__ == _THEIRS for base in type(problem).__mro__):
        return True
    return not isinstance(problem, OSError) and hasattr(problem, "headers") and hasattr(problem, "msg")

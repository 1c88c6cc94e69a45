"""Which tunnels a request to the admin listener is about."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from portofcall.access.client_address import parse_network
from portofcall.errors import InvalidField, printable
from portofcall.session import Session
from portofcall.target import Network
from portofcall.web.request_head import parse_query

_FIELDS: Final = ("client", "subject", "target")
#: What the log calls clients that connect over a UNIX socket.
_LOCAL: Final = "local"


class TunnelFilter:
    """Matches the tunnels that agree with all fields of a query.

    Args:
        uri: the path of a request, with its query. In that, ``client`` is an address, a block of them, or
            ``local``; ``subject`` and ``target`` are as ``GET /tunnels`` shows them.

    Attributes:
        is_given: whether there is any field; without one, every tunnel matches.

    Raises:
        InvalidField: a field is unknown, repeated, empty or malformed; the sentence names it.
        InvalidRequest: there are too many.
    """

    def __init__(self, uri: bytes) -> None:
        query = parse_query(uri)
        if not all(b"=" in field for field in uri.partition(b"?")[2].split(b"&") if field):
            # To ignore one that was meant would match more.
            raise InvalidField(f"{', '.join(_FIELDS)} must be given as NAME=VALUE")
        fields = {_name(key): _value(key, values) for key, values in query.items()}
        self.is_given = bool(fields)
        self._subject, self._target = fields.get("subject"), fields.get("target")
        client = fields.get("client")
        self._local = client == _LOCAL
        self._network = None if client is None or self._local else _network(client)

    def matches(self, session: Session) -> bool:
        """Whether a tunnel agrees."""
        caller = session.caller
        if self._subject is not None and caller.subject != self._subject:
            return False
        if self._target is not None and session.requested != self._target:
            return False
        if self._local or self._network is None:
            return not self._local or caller.address == _LOCAL
        return caller.address != _LOCAL and ip_address(caller.address) in self._network


def _name(key: bytes) -> str:
    name = key.decode("ascii", "backslashreplace")
    if name not in _FIELDS:
        raise InvalidField(f"expected {', '.join(_FIELDS)}, got {printable(name, 40)}")
    return name


def _value(key: bytes, values: Sequence[bytes]) -> str:
    name = _name(key)
    if len(values) != 1 or not values[0]:
        raise InvalidField(f"{name} must be given once, with a value")
    try:
        return values[0].decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidField(f"{name} must be UTF-8") from None


def _network(text: str) -> Network:
    try:
        return parse_network(text)
    except ValueError as problem:
        raise InvalidField(f"client: {problem}") from None

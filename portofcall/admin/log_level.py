"""``/loglevel``: how much is logged about clients."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final

from twisted.logger import Logger
from twisted.web.server import Request

from portofcall.admin.gate import AdminGate
from portofcall.admin.resource import AdminResource
from portofcall.errors import InvalidField
from portofcall.limits.values import Limits
from portofcall.log.levels import ALL, Level, LogLevels
from portofcall.web.api import read_body
from portofcall.web.responses import json_response

_DEFAULT_SECONDS: Final = 600
_MOST_SECONDS: Final = 24 * 60 * 60
_LEVELS: Final = {level.name.lower(): level for level in Level}
_FIELDS: Final = ("level", "client", "seconds")


class LogLevel(AdminResource):
    """``PUT /loglevel`` with ``{"level": LEVEL, "client": ADDRESS, "seconds": SECONDS}``; GET shows them.

    Args:
        gate: admits requests.
        levels: the levels in force.
        limits: the limit on bodies.
        monotonic: the clock of the levels.
    """

    allowed = ("GET", "PUT")
    _log = Logger()

    def __init__(
        self, gate: AdminGate, levels: LogLevels, *, limits: Limits, monotonic: Callable[[], float]
    ) -> None:
        super().__init__(gate)
        self._levels = levels
        self._limits = limits
        self._monotonic = monotonic

    async def respond_GET(self, request: Request) -> bytes:
        """Respond with the levels that are in force, apart from the default."""
        with (await self._gate.admit(request)).lease:
            return self._shown(request)

    async def respond_PUT(self, request: Request) -> bytes:
        """Set a level for a time, and respond as to GET."""
        with (await self._gate.admit(request)).lease:
            fields = read_body(request, self._limits)
            unknown = [name for name in fields if name not in _FIELDS]
            if unknown:
                raise InvalidField(f"the body must have {', '.join(_FIELDS)} only")
            level, client, seconds = _level(fields), _client(fields), _seconds(fields)
            try:
                self._levels.set(level, client=client, seconds=seconds)
            except ValueError as problem:
                raise InvalidField(f"client: {problem}") from None
            self._log.info(
                "log level {name} for {client}, for {seconds:g} s",
                name=level.name.lower(),
                client=client or "all clients",
                seconds=seconds,
            )
            return self._shown(request)

    def _shown(self, request: Request) -> bytes:
        now = self._monotonic()
        levels = [
            {
                "client": setting.client or None,
                "level": setting.level.name.lower(),
                "seconds": round(setting.ends_at - now, 1),
            }
            for setting in self._levels
        ]
        return json_response(request, {"success": True, "levels": levels})


def _level(fields: Mapping[str, Any]) -> Level:
    name = fields.get("level")
    if not isinstance(name, str) or name not in _LEVELS:
        raise InvalidField(f"level must be one of {', '.join(_LEVELS)}")
    return _LEVELS[name]


def _client(fields: Mapping[str, Any]) -> str:
    text = fields.get("client")
    if text is None:
        return ALL
    if text == "local":
        return "local"
    try:
        if not isinstance(text, str):
            raise ValueError
        address = ip_address(text)
    except ValueError:
        raise InvalidField("client must be an address, or local; without it, all are meant") from None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _seconds(fields: Mapping[str, Any]) -> float:
    seconds = fields.get("seconds", _DEFAULT_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= _MOST_SECONDS:
        raise InvalidField(f"seconds must be a number from 1 to {_MOST_SECONDS}")
    return seconds

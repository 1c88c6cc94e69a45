"""The log as text: Twisted's classic lines, made of records without its general formatting."""

from functools import lru_cache
from typing import Final

from twisted.logger import LogEvent, formatEventAsClassicLogText, formatTime

from portofcall.log.gateway_log import Record

_SECONDS_CACHED: Final = 2


def text_line(event: LogEvent) -> str | None:
    """Return a log event as a line of text: a formatter for `twisted.logger.FileLogObserver`."""
    record = event.get("record")
    if not isinstance(record, Record):
        return formatEventAsClassicLogText(event)
    source = f"{event['log_namespace']}#{event['log_level'].name}"
    return f"{_time(int(event['log_time']))} [{source}] {record}\n"


@lru_cache(_SECONDS_CACHED)
def _time(second: int) -> str:
    return formatTime(second)

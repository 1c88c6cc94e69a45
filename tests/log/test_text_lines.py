"""The log as text has the lines that Twisted writes."""

from typing import Any

import pytest
from twisted.logger import LogLevel, formatEventAsClassicLogText
from twisted.python.failure import Failure

from portofcall.events import Caller, Route, TunnelOpened
from portofcall.log.gateway_log import Record
from portofcall.log.text_lines import text_line

CALLER = Caller("loglt3-1", 1000.0, "192.0.2.7", "192.0.2.7", 51324)
OPENED = TunnelOpened(CALLER, Route("127.0.0.1:22"), 0.001)


def logged(**fields: Any) -> dict[str, Any]:
    """Return a log event with these fields."""
    common = {"log_time": 1_800_000_000.9, "log_level": LogLevel.info, "log_namespace": "portofcall.x"}
    return {**common, **fields}


def failed() -> Failure:
    """Return a failure with a traceback."""
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        return Failure()


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("ada", "ada@"),
        ("CN=ada,O=Example", "CN=ada,O=Example@"),
        ("CN=Ada Lovelace", '"CN=Ada Lovelace"@'),
        ("id=1", '"id=1"@'),
        ('x" id=1 "', "\"x' id=1 '\"@"),
    ],
)
def test_subject_that_looks_like_pairs_is_in_quotes(subject: str, shown: str) -> None:
    """An application may put any name into a ticket."""
    opened = OPENED._replace(caller=CALLER._replace(subject=subject))
    assert str(Record(opened)).startswith(f"tunnel {shown}192.0.2.7:51324 -> 127.0.0.1:22 opened ")


@pytest.mark.parametrize(
    "event",
    [
        logged(log_format="{record}", record=Record(OPENED)),
        logged(log_format="{record}", record=Record(OPENED), log_time=1_800_000_001.0),
        logged(log_format="{record}", record=Record(OPENED, 3), log_level=LogLevel.warn),
        logged(log_format="two\nlines {record}", record="no record"),
        logged(log_format="it failed", log_failure=failed(), log_level=LogLevel.critical),
        logged(log_format=""),
    ],
    ids=["record", "another second", "sum", "two lines", "failure", "nothing"],
)
def test_line_is_the_same_as_twisteds(event: dict[str, Any]) -> None:
    """Whichever way it is made."""
    assert text_line(event) == formatEventAsClassicLogText(event)

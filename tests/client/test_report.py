"""What is said on standard error."""

import json

import pytest

from portofcall.client.problem import Problem, Status
from portofcall.client.report import Detail, LogFormat, Report


def lines(*, detail: int = 0, log_format: LogFormat = LogFormat.TEXT) -> list[str]:
    """Say one of each, and return the lines."""
    found: list[str] = []
    report = Report(
        "portofcall connect", detail=detail, log_format=log_format, write=found.append, now=lambda: 1.5
    )
    report.problem(Problem("blocked", "10.0.0.1 is private", Status.FORBIDDEN))
    report.problem(Problem("interrupted", "Ctrl-C", Status.INTERRUPTED))
    report.warn("careful\x1b[31m")
    report.step("connected", proxy="p")
    report.step("details", Detail.EVERYTHING)
    return found


def test_problems_and_warnings_are_lines() -> None:
    """Nothing else is said without -v, and nothing that a terminal would obey."""
    assert lines() == [
        "portofcall connect: blocked: 10.0.0.1 is private\n",
        "portofcall connect: warning: careful\\x1b[31m\n",
    ]


def test_more_is_said_if_wanted() -> None:
    """Once, or twice."""
    assert lines(detail=1)[2:] == ["portofcall connect: connected\n"]
    assert len(lines(detail=2)) == 4


def test_json() -> None:
    """One object for each line."""
    problem, _, step = (json.loads(line) for line in lines(detail=1, log_format=LogFormat.JSON))
    assert problem == {
        "time": 1.5,
        "level": "error",
        "message": "blocked: 10.0.0.1 is private",
        "error.type": "blocked",
    }
    assert (step["level"], step["proxy"]) == ("info", "p")


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is the tunnel's."""
    Report("x").warn("y")
    assert capsys.readouterr() == ("", "x: warning: y\n")

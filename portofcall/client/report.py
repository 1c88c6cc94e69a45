"""What the client's commands say on standard error: one line for each thing, as text or JSON."""

import json
import sys
import time
from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any

from portofcall.client.problem import Problem, Status
from portofcall.errors import printable

_MOST_CHARACTERS = 500


class LogFormat(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


class Detail(IntEnum):
    """How much is said, in addition to problems and warnings."""

    NOTHING = 0
    STEPS = 1
    EVERYTHING = 2


class Report:
    """Says things on standard error.

    Args:
        command: begins each line of text.
        detail: how much is said.
        log_format: how.
        write: writes one line; None means standard error.
        now: returns the time, in seconds since 1970.
    """

    def __init__(
        self,
        command: str,
        *,
        detail: int = Detail.NOTHING,
        log_format: LogFormat = LogFormat.TEXT,
        write: Callable[[str], object] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._command = command
        self._detail = detail
        self._format = log_format
        self._write = write or _write_error
        self._now = now
        self._said: Problem | None = None

    def problem(self, problem: Problem, *, about: str = "") -> None:
        """Say why there is no tunnel, or why it ended; once, and nothing of what the user has done.

        Args:
            problem: the reason.
            about: which tunnel, where there are several.
        """
        if problem is self._said or problem.status in (Status.INTERRUPTED, Status.UNREAD):
            return
        self._said = problem
        sentence, fields = f"{problem.slug}: {problem.sentence}", {"error.type": problem.slug}
        if about:
            sentence, fields["target"] = f"{about}: {sentence}", about
        self._say("error", sentence, fields)

    def warn(self, sentence: str) -> None:
        """Say something that should not be missed."""
        self._say("warn", f"warning: {sentence}", {})

    def step(self, sentence: str, detail: Detail = Detail.STEPS, **fields: Any) -> None:
        """Say what is done, if that much is wanted."""
        if self._detail >= detail:
            self._say("info", sentence, fields)

    def _say(self, level: str, sentence: str, fields: dict[str, Any]) -> None:
        text = printable(sentence, _MOST_CHARACTERS)
        if self._format is LogFormat.JSON:
            self._write(json.dumps({"time": self._now(), "level": level, "message": text, **fields}) + "\n")
        else:
            self._write(f"{self._command}: {text}\n")


def _write_error(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()

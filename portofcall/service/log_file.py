"""twistd's log: its file, which does not rotate itself and is reopened for logrotate, and its format."""

import sys
from collections.abc import Mapping
from enum import StrEnum
from typing import IO, Any, cast

from twisted.logger import FileLogObserver, ILogObserver, Logger
from twisted.python.logfile import LogFile

from portofcall.log.json_lines import json_line
from portofcall.log.text_lines import text_line

_log = Logger()


class LogFormat(StrEnum):
    """What a line of the log looks like."""

    TEXT = "text"
    JSON = "json"

    @classmethod
    def parse(cls, text: str) -> "LogFormat":
        """Parse the name of a format.

        Raises:
            ValueError: the message says what was expected.
        """
        try:
            return cls(text)
        except ValueError:
            raise ValueError("expected text or json") from None


def make_observer(twistd: Mapping[str, Any], file: LogFile | None, format: LogFormat) -> ILogObserver | None:
    """Make the observer that writes the log.

    Args:
        twistd: its options.
        file: the log file, see `open_log_file`.
        format: of the lines.

    Returns:
        None where twistd's own is right, or where twistd refuses: a daemon has no standard output.

    Raises:
        ValueError: JSON can't go where ``--syslog`` or ``--logger`` sends the log.
    """
    if twistd.get("syslog") or twistd.get("logger"):
        if format is LogFormat.TEXT:
            return None
        raise ValueError(
            "--log-format json: expected a log file or the standard output, not --syslog or --logger"
        )
    if file is None and not twistd.get("nodaemon"):
        return None
    line = text_line if format is LogFormat.TEXT else json_line
    return FileLogObserver(sys.stdout if file is None else cast(IO[str], file), line)


def open_log_file(twistd: Mapping[str, Any]) -> LogFile | None:
    """Open the log file that twistd would open. Twisted's own starts a new file at each MB, and removes none.

    Args:
        twistd: its options.

    Returns:
        None where the log goes elsewhere: to the standard output, syslog, or an observer of ``--logger``.

    Raises:
        OSError: it can't be opened.
    """
    path = twistd.get("logfile") or ("" if twistd.get("nodaemon") else "twistd.log")
    if path in ("", "-") or twistd.get("syslog") or twistd.get("logger"):
        return None
    file: LogFile = LogFile.fromFullPath(path, rotateLength=None)
    return file


def reopen(file: LogFile | None) -> None:
    """Write to the file that has the log's path now. If it can't be opened, go on writing to the old one.

    Args:
        file: None logs that there is none.
    """
    if file is None:
        _log.info("nothing to reopen: the log is not a file of twistd's")
        return
    try:
        # LogFile closes the old file first, and would have none.
        with open(file.path, "ab"):
            pass
    except OSError as problem:
        _log.error("log file {path} not reopened: {problem}", path=file.path, problem=problem.strerror)
        return
    file.reopen()
    _log.info("log file {path} reopened", path=file.path)

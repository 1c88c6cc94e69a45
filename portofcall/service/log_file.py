"""twistd's log file: it does not rotate itself, and is reopened for logrotate."""

from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger
from twisted.python.logfile import LogFile

_log = Logger()


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

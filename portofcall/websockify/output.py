"""Where lines go: the standard error, a file, syslog. Python's `logging` writes them."""

import argparse
import logging
import logging.handlers
import os
import socket
import time
from pathlib import Path
from typing import Final

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogBeginner
from zope.interface import implementer

from portofcall.log.text_lines import text_line
from portofcall.websockify.settings import SettingsError

_NAME: Final = "websockify"
_LEVELS: Final = {
    LogLevel.debug: logging.DEBUG,
    LogLevel.info: logging.INFO,
    LogLevel.warn: logging.WARNING,
    LogLevel.error: logging.ERROR,
    LogLevel.critical: logging.CRITICAL,
}


@implementer(ILogObserver)
class Output:
    """Writes lines as they are, and the events of Twisted's log as lines with their time.

    Args:
        verbose: whether it writes debug events.
    """

    def __init__(self, *, verbose: bool) -> None:
        # A handler that fails, on a full disk for example, must not write to the standard error each time.
        logging.raiseExceptions = False
        self._logger = logging.Logger(_NAME, logging.DEBUG if verbose else logging.INFO)
        self._logger.addHandler(logging.StreamHandler())

    def say(self, line: str, level: int = logging.INFO) -> None:
        """Write a line."""
        self._logger.log(level, "%s", line)

    def warn(self, line: str) -> None:
        """Write a warning."""
        self.say(f"warning: {line}", logging.WARNING)

    def __call__(self, event: LogEvent) -> None:
        """Write an event (`ILogObserver`). Of Twisted's own, only warnings and errors matter here."""
        level = _LEVELS.get(event["log_level"], logging.INFO)
        ours = event["log_namespace"].startswith("portofcall.")
        if self._logger.isEnabledFor(level) and (ours or level >= logging.WARNING):
            line = text_line(event)
            if line:
                self.say(line.rstrip("\n"), level)

    def begin(self) -> None:
        """Take Twisted's log from now on, and what it has kept."""
        globalLogBeginner.beginLoggingTo([self], redirectStandardIO=False)

    def add_file(self, path: Path) -> None:
        """Write to a file as well. It is opened again when it was moved away.

        Raises:
            SettingsError: it can't be opened.
        """
        try:
            self._logger.addHandler(logging.handlers.WatchedFileHandler(path, encoding="utf-8"))
        except OSError as problem:
            raise SettingsError(f"--log-file {path}: {problem.strerror}") from None

    def add_syslog(self, server: str, *, daemon: bool, legacy: bool) -> None:
        """Write to syslog as well.

        Args:
            server: the path of a socket, or host and port for UDP.
            daemon: whether the facility is that of daemons, not that of user processes.
            legacy: whether to write as before RFC 5424 (RFC 3164).

        Raises:
            SettingsError: there is no such server, as far as can be known.
        """
        host, colon, port = server.rpartition(":")
        if colon and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise SettingsError(f"--syslog: expected /PATH or HOST:PORT, got '{server[:60]}'")
        facility = (
            logging.handlers.SysLogHandler.LOG_DAEMON if daemon else logging.handlers.SysLogHandler.LOG_USER
        )
        try:
            # Resolved once: the handler would do it again for each line, and hold up the reactor.
            address = _resolve(host, int(port)) if colon else os.path.abspath(server)
            handler = _Syslog(address, facility)
        except OSError as problem:
            raise SettingsError(f"--syslog {server[:60]}: {problem.strerror or problem}") from None
        handler.setFormatter(_SyslogFormatter(legacy=legacy))
        self._logger.addHandler(handler)

    def leave_terminal(self) -> None:
        """Write no more to the standard error."""
        (terminal,) = (h for h in self._logger.handlers if type(h) is logging.StreamHandler)
        self._logger.removeHandler(terminal)


def _resolve(host: str, port: int) -> tuple[str, int]:
    (_, _, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    return str(address[0]), port


class _Syslog(logging.handlers.SysLogHandler):
    append_nul = False


class _SyslogFormatter(logging.Formatter):
    """Puts the head of websockify's messages in front: that of RFC 5424, or the older one."""

    def __init__(self, *, legacy: bool) -> None:
        super().__init__()
        self._legacy = legacy
        self._host = socket.gethostname()[:255] or "-"

    def format(self, record: logging.LogRecord) -> str:
        """Return the message in one line."""
        text = " ".join(record.getMessage().splitlines())
        if self._legacy:
            return f"{_NAME}[{os.getpid()}]: {text}"
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        return f"1 {at} {self._host} {_NAME} {os.getpid()} - - {text}"


def make_output(args: argparse.Namespace) -> Output:
    """Make what the options ask for.

    Args:
        args: of `portofcall.websockify.arguments.parse`.

    Raises:
        SettingsError: a log can't be opened.
    """
    output = Output(verbose=args.verbose)
    if args.log_file is not None:
        output.add_file(Path(args.log_file).absolute())
    if args.syslog is not None:
        output.add_syslog(args.syslog, daemon=args.daemon, legacy=args.legacy_syslog)
    return output

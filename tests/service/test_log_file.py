"""The log file of twistd is found, does not rotate by itself, and is reopened."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import Application
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel
from twisted.python.logfile import LogFile

from portofcall.service.log_file import LogFormat, make_observer, open_log_file, reopen
from portofcall.service.maker import makeService
from tests.service.support import parse


def test_file_of_twistd_is_opened_without_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the background there is always one; further files are logrotate's."""
    monkeypatch.chdir(tmp_path)
    for options, name in (({"nodaemon": False}, "twistd.log"), ({"nodaemon": True, "logfile": "a"}, "a")):
        file = open_log_file(options)
        assert file is not None
        for _ in range(3):
            file.write(bytes(1_000_000))
        assert (file.path, (tmp_path / name).stat().st_size) == (str(tmp_path / name), 3_000_000)
        file.close()
    assert sorted(os.listdir(tmp_path)) == ["a", "twistd.log"]


@pytest.mark.parametrize(
    "twistd",
    [
        {"nodaemon": True},
        {"nodaemon": True, "logfile": "-"},
        {"nodaemon": False, "syslog": True},
        {"nodaemon": False, "logger": print},
    ],
)
def test_log_that_is_no_file_is_left_alone(twistd: dict[str, Any], logged: list[str]) -> None:
    """SIGUSR1 does not end the process all the same."""
    assert open_log_file(twistd) is None
    reopen(None)
    assert logged == ["nothing to reopen: the log is not a file of twistd's"]


def test_renamed_file_is_followed_by_a_new_one(tmp_path: Path, logged: list[str]) -> None:
    """As logrotate does it: nothing is lost, and the old file is written no more."""
    path = tmp_path / "log"
    file = LogFile.fromFullPath(str(path))
    file.write("one\n")
    path.rename(tmp_path / "log.1")
    file.write("two\n")
    reopen(file)
    file.write("three\n")
    assert (tmp_path / "log.1").read_text() == "one\ntwo\n"
    assert path.read_text() == "three\n"
    assert logged == [f"log file {path} reopened"]
    file.close()


def test_file_that_cannot_be_opened_again_changes_nothing(tmp_path: Path, logged: list[str]) -> None:
    """The old one is written on, and gets the reason."""
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LogFile.fromFullPath(str(folder / "log"))
    folder.rename(tmp_path / "old")
    reopen(file)
    file.write("more\n")
    assert (tmp_path / "old" / "log").read_text() == "more\n"
    assert logged == [f"log file {folder / 'log'} not reopened: No such file or directory"]
    file.close()


def test_twistd_logs_to_the_file_that_is_reopened(tmp_path: Path) -> None:
    """It asks its application for an observer."""
    path = tmp_path / "log"
    service: Any = makeService(parse(twistd={"nodaemon": True, "logfile": str(path)}), MemoryReactorClock())
    application: Any = Application("portofcall")
    service.setServiceParent(application)
    observe = application.getComponent(ILogObserver)
    observe({"log_format": "hello", "log_time": 0, "log_system": "-"})
    path.rename(tmp_path / "log.1")
    service._signals._reopen()
    observe({"log_format": "world", "log_time": 0, "log_system": "-"})
    assert "hello" in (tmp_path / "log.1").read_text()
    assert path.read_text().endswith("[-] world\n")
    service._log_file.close()


def test_log_file_that_cannot_be_opened_ends_the_start_with_one_line(tmp_path: Path) -> None:
    """It names the file and the reason."""
    path = tmp_path / "none" / "log"
    service: Any = makeService(parse(twistd={"nodaemon": True, "logfile": str(path)}), MemoryReactorClock())
    with pytest.raises(SystemExit, match=f"twistd portofcall: --logfile {path}: No such file or directory"):
        service.setServiceParent(Application("portofcall"))


@pytest.mark.parametrize("twistd", [{"nodaemon": True, "syslog": True}, {"nodaemon": True, "logger": print}])
def test_json_needs_a_file_or_the_standard_output(twistd: dict[str, Any]) -> None:
    """``--syslog`` and ``--logger`` have formats of their own."""
    assert make_observer(twistd, None, LogFormat.TEXT) is None
    with pytest.raises(ValueError, match=r"^--log-format json: expected a log file or the standard output"):
        make_observer(twistd, None, LogFormat.JSON)


def test_log_format_is_text_or_json() -> None:
    """Nothing else."""
    assert [LogFormat.parse(text) for text in ("text", "json")] == [LogFormat.TEXT, LogFormat.JSON]
    with pytest.raises(ValueError, match="expected text or json"):
        LogFormat.parse("JSON")


def test_each_line_is_written_in_the_format(capsys: pytest.CaptureFixture[str]) -> None:
    """Here to the standard output, as with ``-n``."""
    event = {"log_time": 0.5, "log_level": LogLevel.info, "log_namespace": "here", "log_format": "it began"}
    for format, line in (
        (LogFormat.TEXT, r"1970-01-01T\S+ \[here#info\] it began\n"),
        (LogFormat.JSON, r'\{"timestamp":"1970-01-01T00:00:00.500Z",.*"body":"it began",.*\}\n'),
    ):
        observer = make_observer({"nodaemon": True}, None, format)
        assert observer is not None
        observer(event)
        assert re.fullmatch(line, capsys.readouterr().out)

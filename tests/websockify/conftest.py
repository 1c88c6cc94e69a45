"""Fixtures of the tests of ``portofcall-websockify``."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def closed_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the log files and sockets that the test opens; in a process they stay open to its end."""
    opened: list[logging.Handler] = []
    add = logging.Logger.addHandler

    def note(logger: logging.Logger, handler: logging.Handler) -> None:
        opened.append(handler)
        add(logger, handler)

    monkeypatch.setattr(logging.Logger, "addHandler", note)
    yield
    for handler in opened:
        handler.close()

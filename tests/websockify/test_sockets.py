"""The listening socket."""

import os
import socket
import stat
from pathlib import Path

import pytest
from twisted.internet.protocol import Factory

from portofcall.egress.loop_guard import LoopGuard
from portofcall.websockify import sockets
from portofcall.websockify.settings import (
    ListenInherited,
    ListenTCP,
    ListenUNIX,
    NotListening,
    SettingsError,
)
from portofcall.websockify.sockets import Listening, open_socket
from tests.support import FakeReactor


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", "127.0.0.1"), ("", "0.0.0.0"), ("::1", "::1")])
def test_a_port(host: str, expected: str) -> None:
    """On one address, or on all of IPv4."""
    with open_socket(ListenTCP(host, 0)) as opened:
        assert opened.getsockname()[0] == expected


def test_ipv6_if_it_is_preferred() -> None:
    """On all of its addresses."""
    with open_socket(ListenTCP("", 0, prefers_ipv6=True)) as opened:
        assert opened.getsockname()[0] == "::"


def test_a_port_that_is_taken() -> None:
    """The problem has the address, and another exit status than a mistake in the command line."""
    with open_socket(ListenTCP("127.0.0.1", 0)) as opened:
        port = opened.getsockname()[1]
        with pytest.raises(
            NotListening, match=f"could not listen on 127.0.0.1:{port}: Address already"
        ) as caught:
            open_socket(ListenTCP("127.0.0.1", port))
        assert caught.value.status == 1


def test_a_unix_socket(tmp_path: Path) -> None:
    """With its mode, in place of one that is left over; a file of another kind stays."""
    path = tmp_path / "s"
    for mode in (0o600, 0o660):
        with open_socket(ListenUNIX(str(path), mode)):
            assert stat.S_IMODE(path.stat().st_mode) == mode
    path.unlink()
    path.write_text("a file")
    with pytest.raises(NotListening, match="Address already in use"):
        open_socket(ListenUNIX(str(path)))
    assert path.read_text() == "a file"


def test_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to be a socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as given, socket.socket() as other:
        monkeypatch.setattr(sockets, "_STANDARD_INPUT", given.fileno())
        with open_socket(ListenInherited()) as opened:
            assert opened.getsockname() == given.getsockname()
        monkeypatch.setattr(sockets, "_STANDARD_INPUT", other.fileno())
        with pytest.raises(SettingsError, match="expected a listening socket"):
            open_socket(ListenInherited())
    reading, writing = os.pipe()
    monkeypatch.setattr(sockets, "_STANDARD_INPUT", reading)
    with pytest.raises(SettingsError, match="expected a listening socket"):
        open_socket(ListenInherited())
    os.close(reading)
    os.close(writing)


def test_a_unix_socket_keeps_its_mode_while_it_is_served(tmp_path: Path) -> None:
    """Twisted would give it to all users; at the end it is gone, unless it was another process's."""
    path = tmp_path / "s"
    for removes in (None, str(path)):
        reactor = FakeReactor()
        opened = open_socket(ListenUNIX(str(path)))
        listening = Listening(reactor, opened, Factory(), LoopGuard(), removes=removes)
        listening.startService()
        assert len(reactor.readers) == 1
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        listening.stopService()
        reactor.turn()
        assert reactor.readers == []
        assert path.exists() == (removes is None)

"""Recordings in websockify's format, and traffic on the terminal."""

import errno
import re
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address

from portofcall.testing import FakeTransport, WebSocketClient, pack_frame
from portofcall.websockify.recording import Recording
from tests.websockify.support import upgrade, websockify_world


def test_a_tunnel_is_recorded(tmp_path: Path) -> None:
    """Byte by byte in JavaScript, with the milliseconds."""
    with websockify_world(f"6080 192.0.2.7:5901 --record {tmp_path}/rec") as world:
        client = WebSocketClient(world, upgrade())
        client.send(pack_frame(2, b"it's\x00\xff\n"))
        client.backend.send(b"down\\")
        assert client.backend.take() == b"it's\x00\xff\n"
        client.transport.lose()
        client.backend.lose()
        lines = (tmp_path / "rec.1").read_text().splitlines()
        assert lines[0] == "var VNC_frame_data = ["
        assert re.fullmatch(r"'}\d+}it\\'s\\x00\\xff\\n',", lines[1])
        assert re.fullmatch(r"'{\d+{down\\\\',", lines[2])
        assert lines[3] == "'EOF'];"


def test_a_full_disk_ends_the_recording_only(tmp_path: Path, logged: list[str]) -> None:
    """It is logged once."""
    recording = Recording(tmp_path / "x", now=lambda: 0.0)

    class Full:
        def write(self, _: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        close = write

    file: Any = Full()
    recording._file.close()  # type: ignore[union-attr]
    file.close = lambda: file.write("")
    recording._file = file
    for _ in range(3):
        recording.client_sent(b"x")
        recording.target_sent(b"x")
    recording.end()
    (line,) = logged
    assert line.endswith("not recorded (No space left on device)")


def test_a_file_that_can_not_be_made_ends_the_recording_only(tmp_path: Path, logged: list[str]) -> None:
    """The tunnel goes on."""
    with websockify_world(f"6080 192.0.2.7:5901 --record {tmp_path}/missing/rec") as world:
        client = WebSocketClient(world, upgrade())
        client.send(pack_frame(2, b"up"))
        assert client.backend.take() == b"up"
        assert any("not recorded (No such file" in line for line in logged)


def test_requests_with_one_id_have_recordings_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client behind a proxy on this machine may choose it, and the same for two at the same time."""
    local = IPv4Address("TCP", "127.0.0.1", 40000)
    monkeypatch.setattr(FakeTransport, "getPeer", lambda _: local)
    with websockify_world(f"6080 192.0.2.7:5901 --record {tmp_path}/rec") as world:
        clients = [WebSocketClient(world, upgrade(X_Request_Id="same")) for _ in range(2)]
        assert {client.response.headers["x-request-id"] for client in clients} == {"same"}
        for client in clients:
            client.transport.lose()
            client.backend.lose()
        for number in (1, 2):
            assert (tmp_path / f"rec.{number}").read_text().endswith("'EOF'];\n")


def test_a_standard_output_that_is_gone_ends_the_traffic_only(logged: list[str]) -> None:
    """The tunnel goes on, and it is logged once."""
    with websockify_world("6080 192.0.2.7:5901 --traffic") as world:
        client = WebSocketClient(world, upgrade())

        def closed(_: str) -> None:
            raise BrokenPipeError

        recorder: Any = world.root._recorder
        recorder._show = closed
        for _ in range(3):
            client.send(pack_frame(2, b"up"))
            assert client.backend.take() == b"up"
        assert [line for line in logged if "--traffic" in line] == [
            "--traffic: not shown any more (BrokenPipeError)"
        ]


def test_traffic(capsys: pytest.CaptureFixture[str]) -> None:
    """Two characters for each piece, after the legend."""
    with websockify_world("6080 192.0.2.7:5901 --traffic") as world:
        client = WebSocketClient(world, upgrade())
        client.send(pack_frame(2, b"up"))
        client.backend.send(b"down")
        out = capsys.readouterr().out
        assert out.endswith("}>{<")
        assert "Traffic Legend:" in out

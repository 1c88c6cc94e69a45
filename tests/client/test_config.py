"""Gateways with a name."""

from pathlib import Path

import pytest

from portofcall.client.config import default_path, parse_config, read_config

GOOD = """
[gateway.work]
url = "wss://gw.example"
ticket_command = "login --ticket"
cacert = "ca.pem"
key = "~/key.pem"
insecure = false
connect_timeout = 5

[gateway.home]
url = "ws://[::1]:8080"
ping_interval = 2.5
"""


def test_gateways_with_their_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are those of the file's directory, and whole numbers are numbers."""
    monkeypatch.setenv("HOME", "/home/me")
    found = parse_config(GOOD, directory=tmp_path)
    assert found["work"] == {
        "url": "wss://gw.example",
        "ticket_command": "login --ticket",
        "cacert": str(tmp_path / "ca.pem"),
        "key": "/home/me/key.pem",
        "insecure": False,
        "connect_timeout": 5.0,
    }
    assert found["home"] == {"url": "ws://[::1]:8080", "ping_interval": 2.5}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('[gateway.work]\nurl = "ws://x"\npass_word = "x"', "gateway.work.pass_word: unknown key"),
        ('[gateways.work]\nurl = "ws://x"', "gateways: unknown key"),
        ("gateway = 1", "gateway: expected tables"),
        ("[gateway]\nwork = 1", "gateway.work: expected a table"),
        ("[gateway.work]\nurl = 1", "gateway.work.url: expected a string"),
        ('[gateway.work]\nurl = "ws://x"\ninsecure = 1', "insecure: expected true or false"),
        ('[gateway.work]\nurl = "ws://x"\nconnect_timeout = true', "connect_timeout: expected a number"),
        ('[gateway.work]\nuser = "me"', "gateway.work.url: expected the URL"),
        ("[gateway", "Expected"),
    ],
)
def test_an_invalid_file_names_the_key(text: str, match: str, tmp_path: Path) -> None:
    """With the file."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=match) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    """It is missing, a directory, too large, or no UTF-8."""
    large, latin = tmp_path / "large", tmp_path / "latin"
    large.write_bytes(b"#" * (1024 * 1024 + 1))
    latin.write_bytes(b"# \xff")
    for path, match in (
        (tmp_path / "no", "no such file"),
        (tmp_path, "directory"),
        (large, "1 MiB"),
        (latin, "utf"),
    ):
        with pytest.raises(ValueError, match=match):
            read_config(path)


def test_the_default_file_need_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the place of the XDG specification."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_path() == tmp_path / "portofcall" / "config.toml"
    assert read_config(None) == {}
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_path() == Path("/home/me/.config/portofcall/config.toml")

"""The Host block for ssh."""

import pytest

from portofcall.cli import main


def test_the_block(capsys: pytest.CaptureFixture[str]) -> None:
    """With one connection for all sessions to a host."""
    assert main(["ssh-config", "wss://gw.example", "--host", "*.corp", "--host", "db?"]) == 0
    assert capsys.readouterr().out == (
        "Host *.corp db?\n"
        "    ProxyCommand portofcall connect wss://gw.example %h %p\n"
        "    # One tunnel for all sessions with a host at the same time, opened by the first\n"
        "    ControlMaster auto\n"
        "    ControlPath ~/.ssh/portofcall-%C\n"
    )


def test_what_the_shell_and_ssh_would_read_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    """A percent sign is ssh's own, and the rest goes to a shell."""
    assert main(["ssh-config", "wss://gw/a;b%41", "--program", "/opt/my programs/portofcall"]) == 0
    line = "ProxyCommand '/opt/my programs/portofcall' connect 'wss://gw/a;b%%41' %h %p"
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("gateway", ["wss://me:secret@gw", "wss://gw\nHost *"])
def test_no_secrets_and_no_second_line(gateway: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is no place for a password, and the block has no other lines."""
    assert main(["ssh-config", gateway]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "secret" not in shown.err


def test_invalid_patterns(capsys: pytest.CaptureFixture[str]) -> None:
    """A space would begin another one."""
    with pytest.raises(SystemExit) as caught:
        main(["ssh-config", "work", "--host", "a b"])
    assert caught.value.code == 1
    assert "--host: expected a pattern" in capsys.readouterr().err

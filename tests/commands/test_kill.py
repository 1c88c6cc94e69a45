"""``portofcall kill`` ends tunnels."""

import pytest

from portofcall.commands import kill
from tests.commands.support import fake_listener, parse


def test_tunnels_are_ended_by_their_ids(capsys: pytest.CaptureFixture[str]) -> None:
    """One request each; one that is over already is no error while another was ended."""
    with fake_listener() as listener:
        listener.responses["DELETE", "/tunnels/ab-1"] = (200, {"success": True, "ended": 1})
        assert kill.run(parse(kill, "--admin", listener.url, "ab-1", "x/../y?z")) == 0
        assert [path for _, path, _ in listener.requests] == ["/tunnels/ab-1", "/tunnels/x%2F..%2Fy%3Fz"]
    assert capsys.readouterr().out == "ended 1 tunnel\n"


def test_tunnels_are_ended_by_what_they_have_in_common(capsys: pytest.CaptureFixture[str]) -> None:
    """All filters in one request."""
    with fake_listener() as listener:
        path = "/tunnels?client=10.0.0.0%2F8&subject=ada+l&target=a.example%3A22"
        listener.responses["DELETE", path] = (200, {"success": True, "ended": 2})
        filters = ["--client", "10.0.0.0/8", "--subject", "ada l", "--target", "a.example:22"]
        assert kill.run(parse(kill, "--admin", listener.url, *filters)) == 0
    assert capsys.readouterr().out == "ended 2 tunnels\n"


def test_nothing_to_end_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts."""
    with fake_listener() as listener:
        assert kill.run(parse(kill, "--admin", listener.url, "ab-1")) == 1
    assert capsys.readouterr().out == "ended 0 tunnels\n"


@pytest.mark.parametrize("arguments", [[], ["ab-1", "--subject", "ada"]])
def test_either_ids_or_filters(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all would otherwise mean everything."""
    assert kill.run(parse(kill, "--admin", "http://127.0.0.1:1", *arguments)) == 2
    assert capsys.readouterr().err.startswith("portofcall kill: expected either ids, or")


def test_unreachable_gateway_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """With one line."""
    assert kill.run(parse(kill, "--admin", "unix:/nowhere", "ab-1")) == 2
    assert capsys.readouterr().err == "portofcall kill: unix:/nowhere: No such file or directory\n"

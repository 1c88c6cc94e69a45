"""``portofcall check``: its arguments, its input and output, its exit status."""

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from portofcall.cli import UNREAD, main
from portofcall.commands.check import add_arguments, run
from portofcall.egress.local_networks import LocalNetworks
from portofcall.target import Address
from tests.support import corpus

LOCAL = LocalNetworks.of([ip_interface("91.198.174.192/24")])


def check(
    *arguments: str, stdin: str = "", names: dict[str, list[str]] | None = None
) -> tuple[int, str, str]:
    """Run the command; return its exit status, its output and its errors."""
    parser = argparse.ArgumentParser()
    add_arguments(parser.add_subparsers())

    def look_up(name: str) -> Sequence[Address]:
        return [ip_address(address) for address in (names or {}).get(name, [])]

    out, err = io.StringIO(), io.StringIO()
    args = parser.parse_args(["check", *arguments])
    status = run(
        args, stdin=io.StringIO(stdin), stdout=out, stderr=err, look_up=look_up, local_networks=lambda: LOCAL
    )
    return status, out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (["8.8.8.8", "53"], 0, "allowed"),
        (["127.0.0.1", "22"], 1, "blocked"),
        (["--deny", "8.8.0.0/16", "8.8.8.8", "53"], 1, "blocked"),
        (["--allow", "127.0.0.0/8", "127.0.0.1", "22"], 0, "allowed"),
        (["127.1", "22"], 2, "invalid"),
        (["91.198.174.192", "22"], 1, "blocked"),
        (["--allow", "91.198.174.192", "91.198.174.192", "22"], 0, "allowed"),
        (["db.example.com", "22"], 0, "allowed"),
        (["--resolve", "db.example.com", "22"], 1, "blocked"),
        (["--resolve", "no.example.com", "22"], 1, "blocked"),
    ],
)
def test_exit_status_is_the_verdict(arguments: list[str], status: int, word: str) -> None:
    """And the verdict is the first word of the only line."""
    names = {"db.example.com": ["93.184.215.14", "10.0.0.1"]}
    found, out, err = check(*arguments, names=names)
    assert (found, out.split()[0], out.count("\n"), err) == (status, word, 1, "")


def test_json_has_everything() -> None:
    """For programs."""
    status, out, _ = check("--json", "--resolve", "a.example.com", "22", names={"a.example.com": ["8.8.8.8"]})
    assert status == 0
    assert json.loads(out) == {
        "verdict": "allowed",
        "slug": "allowed",
        "reason": 'allowed by rule "public"',
        "host": "a.example.com",
        "port": 22,
        "addresses": ["8.8.8.8"],
    }


def test_each_line_of_standard_input_is_judged() -> None:
    """The exit status is the worst of them."""
    status, out, _ = check("-", stdin="8.8.8.8 53\n10.0.0.1 22\n\x1b[31m 1\nhost\n\n")
    assert [line.split()[0] for line in out.splitlines()] == [
        "allowed",
        "blocked",
        "invalid",
        "invalid",
        "invalid",
    ]
    assert out.replace("\n", "").isprintable()
    assert status == 2
    assert check("-", stdin="8.8.8.8 53\n")[0] == 0
    assert check("-", stdin="")[:2] == (0, "")


def test_corpus_has_the_same_verdicts_here() -> None:
    """One line per target, from standard input."""
    # A line can't carry line ends, and the last space in it stands before the port.
    rows = [row for row in corpus() if row[3] is None and not set(f"{row[1]}{row[2]}") & set("\r\n")]
    rows = [row for row in rows if " " not in str(row[2])]
    status, out, _ = check("--json", "-", stdin="".join(f"{row[1]} {row[2]}\n" for row in rows))
    answers = [json.loads(line)["verdict"] for line in out.splitlines()]
    words = {"allow": "allowed", "block": "blocked", "invalid": "invalid"}
    assert len(rows) > 200
    assert answers == [words[row[0]] for row in rows]
    assert status == 2


def test_policy_file_counts(tmp_path: Path) -> None:
    """With the rules of the command line on top."""
    path = tmp_path / "policy"
    path.write_text("allow 10.0.0.0/8:22\n")
    assert check("--policy", str(path), "10.0.0.1", "22")[0] == 0
    assert check("--policy", str(path), "--deny", "10.0.0.1", "10.0.0.1", "22")[0] == 1
    path.write_text("allow 10.0.0.0/8:22\nnonsense\n")
    status, out, err = check("--policy", str(path), "10.0.0.1", "22")
    assert (status, out) == (2, "")
    assert err.startswith("portofcall check: --policy: line 2: ")
    assert err.count("\n") == 1


TARGETS = ("--target", "db=10.0.0.5:5432", "--target", "app=unix:/run/app.sock")


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["db"], 0, 'allowed target db, 10.0.0.5 port 5432: allowed: allowed by rule "10.0.0.5:5432"'),
        (
            ["--deny", "10.0.0.0/8", "db"],
            1,
            'blocked target db, 10.0.0.5 port 5432: blocked: denied by rule "10.0.0.0/8"',
        ),
        (
            ["app"],
            0,
            "allowed target app, /run/app.sock: allowed: no rule is about UNIX sockets",
        ),
        (["DB"], 2, "invalid target DB: unknown-target: there is no target DB"),
        (
            ["d b"],
            2,
            "invalid target d b: invalid-target: target: expected a name of 1 to 63 letters, digits, . _ "
            'or -, got "d b"',
        ),
        (
            ["8.8.8.8", "53"],
            1,
            "blocked 8.8.8.8 port 53: blocked: this gateway has named targets only: ask with target=NAME",
        ),
        (
            ["--allow", "public", "8.8.8.8", "53"],
            0,
            'allowed 8.8.8.8 port 53: allowed: allowed by rule "public"',
        ),
    ],
)
def test_named_target_is_judged_as_the_gateway_does(arguments: list[str], status: int, line: str) -> None:
    """No rule has to allow it; and without one that does, nothing else is allowed."""
    assert check(*TARGETS, *arguments) == (status, f"{line}\n", "")


def test_name_of_a_named_target_is_resolved() -> None:
    """With --resolve, and every address is judged."""
    names = {"db.example.com": ["10.0.0.5"]}
    arguments = ("--target", "db=tls:db.example.com:5432", "--deny", "10.0.0.0/8", "db")
    status, out, _ = check(*arguments, names=names)
    assert (status, out.startswith("allowed target db, db.example.com port 5432: ")) == (0, True)
    assert "not resolved (use --resolve)" in out
    status, out, _ = check("--resolve", "--json", *arguments, names=names)
    assert status == 1
    assert json.loads(out) == {
        "verdict": "blocked",
        "slug": "blocked",
        "reason": 'denied by rule "10.0.0.0/8"',
        "target": "db",
        "host": "db.example.com",
        "port": 5432,
        "addresses": ["10.0.0.5"],
    }


def test_lines_may_be_names_of_targets(tmp_path: Path) -> None:
    """Beside those with host and port; the names are those of the file, and of the command line on top."""
    path = tmp_path / "targets"
    path.write_text("# ours\nweb: [2001:db8::5]:443\n")
    status, out, _ = check(
        *TARGETS, "--target-file", str(path), "--json", "-", stdin="web\napp\n8.8.8.8 53\nx\n"
    )
    found = [json.loads(line) for line in out.splitlines()]
    assert [(each["verdict"], each.get("target"), each.get("path")) for each in found] == [
        ("allowed", "web", None),
        ("allowed", "app", "/run/app.sock"),
        ("blocked", None, None),
        ("invalid", "x", None),
    ]
    assert status == 2
    path.write_text("web 443\n")
    status, out, err = check("--target-file", str(path), "web")
    assert (status, out) == (2, "")
    assert err.startswith(f"portofcall check: --target-file {path}: line 1: expected NAME: HOST:PORT")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--allow", "10.0.0.1/8", "8.8.8.8", "1"],
        ["8.8.8.8"],
        ["-", "22"],
        ["--target", "db", "db"],
        ["--target", "db=10.0.0.5:5432", "--target", "db=10.0.0.6:5432", "db"],
    ],
)
def test_senseless_command_line_is_2_with_one_line(arguments: list[str]) -> None:
    """Nothing is judged by rules with a mistake in them."""
    status, out, err = check(*arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1


def test_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """As ``portofcall check``, beside the other commands."""
    assert main(["check", "10.0.0.1", "22"]) == 1
    assert "private" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "ticket" in capsys.readouterr().out


def test_installed_script_reads_any_bytes() -> None:
    """What is no text is invalid, and no traceback."""
    script = Path(sys.executable).with_name("portofcall")
    done = subprocess.run(
        [script, "check", "-"], input=b"\xff\xfe 22\n8.8.8.8 53\n", capture_output=True, check=False
    )
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stdout.splitlines()] == [b"invalid", b"allowed"]
    assert done.stderr == b""


def test_reader_that_leaves_is_no_verdict() -> None:
    """Neither a traceback nor the exit status of "blocked"."""
    script = Path(sys.executable).with_name("portofcall")
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [script, "check", "8.8.8.8", "53"], stdout=write_end, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(write_end)
    assert (done.returncode, done.stderr) == (UNREAD, b"")


def test_line_that_is_too_long_is_one_invalid_line() -> None:
    """And the next line is read from its beginning."""
    status, out, _ = check("-", stdin="8.8.8.8 53" + " " * 30_000 + "\n8.8.8.8 53\n")
    assert [line.split()[0] for line in out.splitlines()] == ["invalid", "allowed"]
    assert len(out) < 1000
    assert status == 2

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


@pytest.mark.parametrize("arguments", [["--allow", "10.0.0.1/8", "8.8.8.8", "1"], ["8.8.8.8"], ["-", "22"]])
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

"""``portofcall check`` says what the policy says, as the policy says it."""

import argparse
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from portofcall.cli import UNREAD, main
from portofcall.commands.check import add_arguments, run
from portofcall.target import Address, Target
from tests.support import corpus


def check(
    *arguments: str, stdin: str = "", names: dict[str, list[str]] | None = None
) -> tuple[int, str, str]:
    """Run the command; return its exit status, its output and its complaints."""
    parser = argparse.ArgumentParser()
    add_arguments(parser.add_subparsers())

    def look_up(name: str) -> Sequence[Address]:
        return [ip_address(address) for address in (names or {}).get(name, [])]

    out, err = io.StringIO(), io.StringIO()
    args = parser.parse_args(["check", *arguments])
    status = run(args, stdin=io.StringIO(stdin), stdout=out, stderr=err, look_up=look_up)
    return status, out.getvalue(), err.getvalue()


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["8.8.8.8", "53"], 0, 'allowed 8.8.8.8 port 53: allowed: allowed by rule "public"\n'),
        (
            ["127.0.0.1", "22"],
            1,
            "blocked 127.0.0.1 port 22: blocked: 127.0.0.1 is loopback (RFC 1122 section 3.2.1.3) and no "
            "rule allows it\n",
        ),
        (
            ["--deny", "8.8.0.0/16", "8.8.8.8", "53"],
            1,
            'blocked 8.8.8.8 port 53: blocked: denied by rule "8.8.0.0/16"\n',
        ),
        (
            ["127.1", "22"],
            2,
            "invalid 127.1 port 22: invalid-target: host: expected four decimal numbers, or a name that ends "
            'in no number, got "127.1"\n',
        ),
        (
            ["8.8.8.8", "0"],
            2,
            'invalid 8.8.8.8 port 0: invalid-target: port: expected 1 to 65535 in digits, got "0"\n',
        ),
    ],
)
def test_verdict_slug_and_reason_are_told(arguments: list[str], status: int, line: str) -> None:
    """With the rule or the table's row that decided; the exit status is the verdict."""
    assert check(*arguments) == (status, line, "")


def test_name_is_judged_by_its_text_unless_it_is_resolved() -> None:
    """And the answer says which."""
    names = {"db.example.com": ["93.184.215.14", "10.0.0.1"]}
    status, out, _ = check("db.example.com", "22", names=names)
    assert (status, "not resolved" in out) == (0, True)
    status, out, _ = check("--resolve", "db.example.com", "22", names=names)
    assert (status, "10.0.0.1 is private" in out) == (1, True)
    status, out, _ = check("--resolve", "no.example.com", "22", names=names)
    assert (status, "name-not-found" in out) == (1, True)


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


def test_lines_of_standard_input_are_answered_line_by_line() -> None:
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
    """One answer a line, as the policy itself says."""
    # A line can't carry line ends, and the last space in it stands before the port.
    rows = [row for row in corpus() if row[3] is None and not set(f"{row[1]}{row[2]}") & set("\r\n")]
    rows = [row for row in rows if " " not in str(row[2])]
    status, out, _ = check("--json", "-", stdin="".join(f"{row[1]} {row[2]}\n" for row in rows))
    answers = [json.loads(line)["verdict"] for line in out.splitlines()]
    words = {"allow": "allowed", "block": "blocked", "invalid": "invalid"}
    assert len(rows) > 200
    assert answers == [words[row[0]] for row in rows]
    assert status == 2


def test_names_of_the_corpus_have_the_same_verdicts_when_they_are_resolved() -> None:
    """Every answer of the resolver is judged; no answer is a refusal."""
    rows = [row for row in corpus() if row[3] is not None and not row[1].replace(".", "").isdigit()]
    for verdict, host, port, addresses, trick in rows:
        answers = [str(address) for address in addresses or ()]
        names = {Target.parse(host, port).host: answers}
        status, _, _ = check("--resolve", "-", stdin=f"{host} {port}\n", names=names)
        assert status == {"allow": 0, "block": 1, "invalid": 2}[verdict], trick
    assert len(rows) > 10


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
    """Nothing is judged by rules that nobody meant."""
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

"""A policy file has a rule a line, and says which line is wrong."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress.line_file import MAX_FILE_CHARACTERS, MAX_FILE_LINES
from portofcall.egress.policy import Policy
from portofcall.egress.policy_file import PolicyFileError, parse_policy_file, read_policy
from portofcall.target import Target
from tests.support import decide

FILE = """\
# Where our clients go.
allow public:443   # the web
allow\t10.20.0.0/16:22\r
deny 10.20.99.0/24

   deny bad.example.com
"""


def allowed(policy: Policy, host: str, port: int) -> bool:
    """Judge a target by its text."""
    return decide(policy, Target.parse(host, port)).allowed


def test_lines_are_rules() -> None:
    """Comments, blank lines, tabs and CRLF are no matter."""
    policy = parse_policy_file(FILE)
    assert [rule.text for rule in policy.allow] == ["public:443", "10.20.0.0/16:22"]
    assert [rule.text for rule in policy.deny] == ["10.20.99.0/24", "bad.example.com"]
    assert allowed(policy, "10.20.1.1", 22)
    assert not allowed(policy, "10.20.99.1", 22)
    assert not allowed(policy, "bad.example.com", 443)


def test_rules_of_the_command_line_come_on_top() -> None:
    """And deny wins, in either place."""
    policy = parse_policy_file("allow 10.0.0.0/8\n", allow=["192.168.0.0/16"], deny=["10.1.0.0/16"])
    assert allowed(policy, "192.168.1.1", 22)
    assert allowed(policy, "10.2.0.1", 22)
    assert not allowed(policy, "10.1.0.1", 22)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_file_without_a_rule_is_refused(text: str) -> None:
    """A disk that is full, or an editor at work, must not open everything that is public."""
    with pytest.raises(PolicyFileError, match="at least one rule"):
        parse_policy_file(text, allow=["10.0.0.0/8"])


def test_file_that_allows_nothing_means_public() -> None:
    """A file that only denies is a list of exceptions."""
    policy = parse_policy_file("deny 93.184.0.0/16\n")
    assert allowed(policy, "8.8.8.8", 53)
    assert not allowed(policy, "10.0.0.1", 53)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("allow", "expected allow RULE or deny RULE"),
        ("permit public", "expected allow RULE or deny RULE"),
        ("ALLOW public", "expected allow RULE or deny RULE"),
        ("allow public deny public", "expected allow RULE or deny RULE"),
        ("allow 10.0.0.1/8", "10.0.0.0/8"),
        ("deny db=10.0.0.0/8", "can only allow"),
        ("allow public:0", "ports from 1 to 65535"),
        ("allow \x1b[31m", r"\x1b"),
    ],
)
def test_wrong_line_is_reported_by_its_number(line: str, what: str) -> None:
    """With the expected form, and in plain characters."""
    with pytest.raises(PolicyFileError) as caught:
        parse_policy_file(f"# first\n\n{line}\nallow public\n")
    message = str(caught.value)
    assert message.startswith("line 3: ")
    assert what in message
    assert message.isprintable()


def test_huge_file_is_refused() -> None:
    """Before it is read line by line."""
    with pytest.raises(PolicyFileError, match="at most"):
        parse_policy_file("#" * (MAX_FILE_CHARACTERS + 1))


def test_too_many_lines_are_refused() -> None:
    """Every dial would look at all of them."""
    assert len(parse_policy_file("allow 10.0.0.0/8\n" * MAX_FILE_LINES).allow) == MAX_FILE_LINES
    with pytest.raises(PolicyFileError, match=f"line {MAX_FILE_LINES + 1}: expected at most"):
        parse_policy_file("\n" * MAX_FILE_LINES + "allow public")


@given(st.text(alphabet=st.sampled_from("alowdeny pubic#\t\n\r0123./:*=[]-é\x00")))
def test_no_text_raises_anything_else(text: str) -> None:
    """Whatever stands in a file, it is a policy or one line of complaint."""
    try:
        parse_policy_file(text)
    except PolicyFileError as error:
        message = str(error)
        assert message.isprintable()


def test_file_is_read_from_disk(tmp_path: Path) -> None:
    """An unreadable file is an error with the reason."""
    path = tmp_path / "policy"
    with pytest.raises(PolicyFileError, match="No such file"):
        read_policy(path)
    path.write_bytes(b"allow \xff\n")
    with pytest.raises(PolicyFileError, match="UTF-8"):
        read_policy(path)
    path.write_text(FILE)
    assert len(read_policy(path, deny=["public:25"]).deny) == 3


def test_pipe_is_no_policy_file(tmp_path: Path) -> None:
    """Read for the second time it would be empty, and open the gateway to everything public."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read_end, write_end = os.pipe()
    os.write(write_end, b"allow 10.20.0.0/16:22\n")
    os.close(write_end)
    try:
        for pipe in (path, Path(f"/dev/fd/{read_end}"), Path("/dev/zero")):
            with pytest.raises(PolicyFileError, match="expected a regular file"):
                read_policy(pipe)
    finally:
        os.close(read_end)


def test_only_the_bound_is_read_of_a_huge_file(tmp_path: Path) -> None:
    """However many gigabytes it claims to have."""
    path = tmp_path / "policy"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(PolicyFileError, match="at most"):
        read_policy(path)

"""Named targets have one grammar, on the command line and in a file, and errors say what was expected."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress.named_target import (
    MAX_SOCKET_PATH_BYTES,
    NamedTarget,
    Targets,
    TargetsError,
    TLSTrust,
)
from portofcall.errors import UnknownTarget
from portofcall.target import Target, TargetName


def place(text: str) -> str:
    """Parse a target, and write what it leads to."""
    return str(NamedTarget.parse(text).place)


@pytest.mark.parametrize(
    ("text", "found", "shown"),
    [
        ("db=10.0.0.5:5432", Target("10.0.0.5", 5432), "db (10.0.0.5:5432)"),
        ("db=DB.internal.:5432", Target("db.internal", 5432), "db (db.internal:5432)"),
        ("db=[2001:DB8:0::5]:5432", Target("2001:db8::5", 5432), "db ([2001:db8::5]:5432)"),
        ("x=unix:/run/a:b=c.sock", PurePosixPath("/run/a:b=c.sock"), "x (unix:/run/a:b=c.sock)"),
        ("mail=tls:mail.example.com:993", Target("mail.example.com", 993), "mail (tls:mail.example.com:993)"),
        ("mail=tls:[::1]:993", Target("::1", 993), "mail (tls:[::1]:993)"),
    ],
)
def test_target_leads_where_its_value_says(text: str, found: object, shown: str) -> None:
    """Host and port in the one spelling of `Target`; the log has both name and value."""
    target = NamedTarget.parse(text)
    assert target.place == found
    assert str(target) == shown
    assert (target.tls is not None) == ("tls:" in text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected NAME=HOST:PORT, NAME=unix:PATH or NAME=tls:HOST:PORT, got ''"),
        ("db", "expected NAME=HOST:PORT"),
        ("=10.0.0.5:5432", 'expected a name of 1 to 63 letters, digits, . _ or -, got ""'),
        ("-db=10.0.0.5:5432", "expected a name"),
        ("d b=10.0.0.5:5432", "expected a name"),
        ("d/b=10.0.0.5:5432", "expected a name"),
        ("dä=10.0.0.5:5432", "expected a name"),
        ("d" * 64 + "=10.0.0.5:5432", "expected a name"),
        ("db=", "expected HOST:PORT, IPv6 in brackets, got ''"),
        ("db=10.0.0.5", "expected HOST:PORT, IPv6 in brackets, got '10.0.0.5'"),
        ("db=2001:db8::5:5432", "expected HOST:PORT, IPv6 in brackets"),
        ("db=10.0.0.5:", "port: expected 1 to 65535 in digits"),
        ("db=10.0.0.5:70000", "port: expected 1 to 65535 in digits"),
        ("db=127.1:22", "host: expected four decimal numbers"),
        ("db=[fe80::1%eth0]:22", "host: expected an IPv6 address without zone"),
        ("x=unix:", "unix: expected an absolute path, got ''"),
        ("x=unix:socket", "unix: expected an absolute path, got 'socket'"),
        ("x=unix:/a\0b", "unix: expected an absolute path"),
        (f"x=unix:/{'a' * MAX_SOCKET_PATH_BYTES}", "unix: expected a path of at most 107 bytes, got 108"),
        ("x=tls:443", "expected HOST:PORT, IPv6 in brackets, got '443'"),
        ("x=tls:a.example.com:443:cafile=ca.pem", "cafile: expected an absolute path, got 'ca.pem'"),
        ("x=tls:a.example.com:443:cafile=/no/such", "cafile: expected a readable file"),
        ("x=tls:a.example.com:443:ca=/etc/ca", "expected HOST:PORT"),
    ],
)
def test_anything_else_is_an_error_that_says_what_was_expected(text: str, problem: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(TargetsError) as error:
        NamedTarget.parse(text)
    assert str(error.value).startswith(problem)


def test_longest_name_and_path_are_valid() -> None:
    """63 characters, and 107 bytes in UTF-8."""
    assert NamedTarget.parse("d" * 63 + "=a.example.com:1").name == TargetName("d" * 63)
    path = "/" + "ä" * ((MAX_SOCKET_PATH_BYTES - 1) // 2)
    assert place(f"x=unix:{path}") == path


@given(st.text(max_size=80))
def test_any_text_is_a_target_or_a_short_error_in_one_line(text: str) -> None:
    """Never another exception."""
    problem = ""
    try:
        NamedTarget.parse(text)
    except TargetsError as error:
        problem = str(error)
    assert problem.isprintable()
    assert len(problem) < 250


def test_cafile_is_read_with_the_target(tmp_path: Path, certificate: Path) -> None:
    """A reload sees a new one; a file without certificates is an error at once, which names it."""
    trust = NamedTarget.parse(f"x=tls:localhost:443:cafile={certificate}").tls
    assert trust is not None
    assert trust.authorities is not None
    (authority,) = trust.authorities
    assert authority in certificate.read_bytes()
    assert NamedTarget.parse("x=tls:localhost:443").tls == TLSTrust(None)
    (tmp_path / "empty").write_text("nothing\n")
    with pytest.raises(TargetsError, match=r"cafile: expected certificates in PEM, got '.*empty'"):
        NamedTarget.parse(f"x=tls:localhost:443:cafile={tmp_path / 'empty'}")


def test_targets_are_found_by_name() -> None:
    """Upper and lower case differ; an unknown name is an error that repeats it."""
    targets = Targets.parse(["db=10.0.0.5:5432", "DB=10.0.0.6:5432"])
    assert str(targets.find(TargetName("DB"))) == "DB (10.0.0.6:5432)"
    with pytest.raises(UnknownTarget, match="there is no target Db"):
        targets.find(TargetName("Db"))


def test_each_name_is_given_once() -> None:
    """Two targets with one name are a slip of the pen, and one string instead of a list is another."""
    with pytest.raises(TargetsError, match="expected each name once, got db again"):
        Targets.parse(["db=10.0.0.5:5432", "db=10.0.0.6:5432"])
    with pytest.raises(TypeError, match="expected a collection"):
        Targets.parse("db=10.0.0.5:5432")


def test_default_is_a_name_or_a_target_of_its_own() -> None:
    """The latter is named default, so that policy, log, metrics and tickets know it like any other."""
    targets = Targets.parse(["db=10.0.0.5:5432"])
    assert targets.default is None
    assert targets.with_default("db").default == TargetName("db")
    for text, shown in (
        ("10.0.0.6:5901", "default (10.0.0.6:5901)"),
        ("unix:/run/vnc", "default (unix:/run/vnc)"),
        ("tls:a.example:993", "default (tls:a.example:993)"),
    ):
        found = targets.with_default(text)
        assert found.default == TargetName("default")
        assert found.describe(found.default) == shown
        assert len(found) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("other", "expected HOST:PORT, unix:PATH, or the name of a target, got 'other'"),
        ("", "expected HOST:PORT, unix:PATH, or the name of a target, got ''"),
        ("10.0.0.6:", "port: expected 1 to 65535 in digits"),
        ("10.0.0.6:1", "expected each name once, got default again"),
    ],
)
def test_default_that_leads_nowhere_is_an_error(text: str, problem: str) -> None:
    """Or one whose name is taken."""
    with pytest.raises(TargetsError) as error:
        Targets.parse(["default=10.0.0.5:5432"]).with_default(text)
    assert str(error.value).startswith(problem)


def test_log_shows_what_was_asked_for() -> None:
    """A name with what it leads to, an unknown name alone, host and port as they are."""
    targets = Targets.parse(["db=10.0.0.5:5432"])
    assert targets.describe(TargetName("db")) == "db (10.0.0.5:5432)"
    assert targets.describe(TargetName("other")) == "other"
    assert targets.describe(Target("10.0.0.5", 22)) == "10.0.0.5:22"

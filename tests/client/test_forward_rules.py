"""The values of -L and -D."""

import re

import pytest

from portofcall.client.forward_rules import Bind, Rule
from portofcall.target import Target, TargetName

DB = Target("db.example", 5432)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("5432:db.example:5432", Rule(port=5432, target=DB)),
        ("0:db.example:5432", Rule(port=0, target=DB)),
        ("localhost:1:db.example:5432", Rule(port=1, target=DB)),
        ("127.0.0.2:1:db.example:5432", Rule(bind="127.0.0.2", port=1, target=DB)),
        ("[::1]:1:[2001:DB8::1]:22", Rule(bind="::1", port=1, target=Target("2001:db8::1", 22))),
        (":1:db.example:5432", Rule(bind=Bind.ALL, port=1, target=DB)),
        ("*:1:db.example:5432", Rule(bind=Bind.ALL, port=1, target=DB)),
        ("5432:db", Rule(port=5432, target=TargetName("db"))),
        ("127.0.0.1:5432:db", Rule(bind="127.0.0.1", port=5432, target=TargetName("db"))),
        ("/run/db.sock:db.example:5432", Rule(path="/run/db.sock", target=DB)),
        ("/run/db.sock:db", Rule(path="/run/db.sock", target=TargetName("db"))),
    ],
)
def test_local(text: str, rule: Rule) -> None:
    """As in ssh, with names of targets in addition."""
    assert Rule.local(text) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1080", Rule(port=1080)),
        ("[::1]:1080", Rule(bind="::1", port=1080)),
        ("/run/socks", Rule(path="/run/socks")),
    ],
)
def test_dynamic(text: str, rule: Rule) -> None:
    """The target is the client's to name."""
    assert Rule.dynamic(text) == rule


def test_gateway_ports() -> None:
    """-g is for those without an address."""
    assert Rule.dynamic("1080", gateway_ports=True).bind is Bind.ALL
    assert Rule.local("1:db", gateway_ports=True).exposed
    assert not Rule.dynamic("localhost:1080", gateway_ports=True).exposed
    assert not Rule.dynamic("/run/socks", gateway_ports=True).exposed
    assert Rule.dynamic("192.0.2.1:1080").exposed
    assert not Rule.dynamic("127.0.0.9:1080").exposed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected [BIND:]PORT:HOST"),
        ("5432", "expected [BIND:]PORT:HOST"),
        ("db.example:5432", "expected [BIND:]PORT:HOST"),
        ("65536:db:1", "expected [BIND:]PORT:HOST"),
        ("a:b:1:db:1", "expected [BIND:]PORT:HOST"),
        ("[::1:1:db:1", "expected [BIND:]PORT:HOST"),
        ("1:[::1]x:1", "host: expected"),
        ("1:db:1\n", "expected [BIND:]PORT:HOST"),
        ("1:db:0", "port: expected 1 to 65535"),
        ("1:a b:1", "host: expected"),
        ("1:a b", "target: expected"),
        ("example.com:1:db:1", "BIND: expected an address"),
        ("run/db.sock:db:1", "expected [BIND:]PORT:HOST"),
    ],
)
def test_everything_else_is_an_error(text: str, expected: str) -> None:
    """It says what was expected."""
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        Rule.local(text)


@pytest.mark.parametrize("text", ["", "x", "1:2:3", "[::1", "99999", "run/socks"])
def test_invalid_dynamic(text: str) -> None:
    """The same."""
    with pytest.raises(ValueError, match="expected"):
        Rule.dynamic(text)


@pytest.mark.parametrize("text", ["localhost:1", "*:1", "127.0.0.2:1", "[::1]:1", "/run/socks"])
def test_where_it_listens_is_written_as_it_is_given(text: str) -> None:
    """For messages."""
    assert str(Rule.dynamic(text)) == text

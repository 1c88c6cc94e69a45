"""Rules: their grammar, and the errors of wrong ones."""

import pytest
from hypothesis import given

from portofcall.egress.rules import Effect, RuleError, parse_rule
from tests.support import RULE_TEXT


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("", "expected a name"),
        (" public", "expected"),
        ("10.0.0.1/8", "expected 10.0.0.0/8, or 10.0.0.1 for that one address"),
        ("2001:db8::1/32", "expected 2001:db8::/32"),
        ("10.0.0.0/33", "at most 32"),
        ("fd00::/129", "at most 128"),
        ("10.0.0.0/", "a block such as"),
        ("10.0.0.0/255.0.0.0", "a block such as"),
        ("10.0.0/8", "a block such as"),
        ("010.0.0.0/8", "a block such as"),
        ("127.1", "a block such as"),
        ("example.com/8", "a block such as"),
        ("fd00::/8:22", "in brackets when ports follow"),
        ("[fd00::]/8:22", "the whole block in the brackets"),
        ("[fd00::/8", "the whole block in the brackets"),
        ("[10.0.0.0/8]:22", "[2001:db8::/32]:22"),
        ("fe80::1%eth0", "an IPv6 block"),
        ("public:", "ports from 1 to 65535"),
        ("public:0", "ports from 1 to 65535"),
        ("public:0-1023", "ports from 1 to 65535"),
        ("public:65536", "ports from 1 to 65535"),
        ("public:443-22", "ports from 1 to 65535"),
        ("public:22,", "ports from 1 to 65535"),
        ("public:22,*", "ports from 1 to 65535"),
        ("public:22 ,80", "ports from 1 to 65535"),
        ("public:ssh", "ports from 1 to 65535"),
        ("public:٢٢", "ports from 1 to 65535"),
        ("*", "letters, digits"),
        ("*.", "got nothing"),
        ("*.*.example.com", "letters, digits"),
        ("*example.com", "letters, digits"),
        ("*.10.0.0.1", "not an address"),
        ("example.a_b", "a last label of letters, digits"),
        ("db.internal=", "a block such as"),
        ("db.internal=public", "a block such as"),
        ("db.internal=host.example", "a block such as"),
        ("=10.0.0.0/8", "got nothing"),
        ("10.0.0.1=10.0.0.0/8", "not an address"),
        ("a=b=10.0.0.0/8", "letters, digits"),
        ("x" * 2000, "at most 1000 characters"),
        ("example.com\nallow", "letters, digits"),
    ],
)
def test_a_wrong_rule_is_explained_in_one_line(rule: str, expected: str) -> None:
    """The message shows the rule and what was expected, on one line of bounded length."""
    for effect in Effect:
        with pytest.raises(RuleError) as caught:
            parse_rule(rule, effect)
        message = str(caught.value)
        assert message.startswith('rule "') or rule == ""
        assert message.isprintable()
        assert len(message) < 250
        if "=" not in rule or effect is Effect.ALLOW:
            assert expected in message


def test_a_name_tied_to_a_block_can_not_be_denied() -> None:
    """NAME=BLOCK in a deny rule is an error that says how to deny."""
    with pytest.raises(RuleError, match="can only allow; deny the name or the block"):
        parse_rule("db.internal=10.0.0.0/8", Effect.DENY)


@given(RULE_TEXT)
def test_any_text_is_a_rule_or_a_rule_error(text: str) -> None:
    """Nothing that an operator writes raises anything else, and errors are printable lines."""
    for effect in Effect:
        try:
            shown = str(parse_rule(text, effect))
        except RuleError as error:
            shown = str(error)
        assert shown.isprintable()
        assert shown.isascii()

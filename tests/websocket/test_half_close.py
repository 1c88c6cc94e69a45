"""The vocabulary of portofcall.v1: its name, and what counts as eof."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.websocket.half_close import (
    EOF,
    MAX_TEXT_BYTES,
    MESSAGE_AFTER_EOF,
    UNKNOWN_MESSAGE,
    choose_subprotocol,
    is_eof,
)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["chat"], None),
        (["binary"], "binary"),
        (["chat", "portofcall.v1"], "portofcall.v1"),
        (["binary", "portofcall.v1"], "portofcall.v1"),
        (["Portofcall.V1"], None),
    ],
)
def test_the_gateway_prefers_half_close(offered: list[str], chosen: str | None) -> None:
    """Regardless of the order of the offer; names are compared case-sensitively."""
    assert choose_subprotocol(offered) == chosen


@pytest.mark.parametrize(
    "text",
    [
        EOF,
        b' {"type" : "eof"}\r\n',
        b'{"\\u0074ype":"e\\u006ff"}',
        json.dumps({"type": "eof"}).encode(),
        EOF.ljust(MAX_TEXT_BYTES),
    ],
)
def test_any_spelling_of_the_object_is_eof(text: bytes) -> None:
    """A client may write it with any JSON library."""
    assert is_eof(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"eof",
        b'"eof"',
        b"null",
        b"{}",
        b'{"type":"EOF"}',
        b'{"type":["eof"]}',
        b'{"type":"eof","more":1}',
        b'{"type":"eof","type":"eof"}',
        b'[["type","eof"]]',
        b'[{"type":"eof"}]',
        b'{"type":"eof"}{}',
        b'\xef\xbb\xbf{"type":"eof"}',
        '{"type":"eof"}'.encode("utf-16"),
        b'{"type":"eof\xff"}',
        b"[" * MAX_TEXT_BYTES,
        b"1" * MAX_TEXT_BYTES,
        EOF.ljust(MAX_TEXT_BYTES + 1),
    ],
)
def test_nothing_else_is_eof(text: bytes) -> None:
    """Neither other JSON, nor text that is no JSON, nor a text that is too long."""
    assert not is_eof(text)


@given(
    st.text(max_size=200)
    | st.dictionaries(
        st.sampled_from(["type", "eof", ""]), st.sampled_from(["type", "eof", "", None]), max_size=2
    )
)
def test_any_text_is_judged(value: str | dict[str, str | None]) -> None:
    """Whether or not it is JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    assert is_eof(text.encode()) == (value == {"type": "eof"})


@pytest.mark.parametrize("reason", [UNKNOWN_MESSAGE[1], MESSAGE_AFTER_EOF[1]])
def test_reasons_fit_into_a_close_frame(reason: str) -> None:
    """They begin with a slug (RFC 6455 §5.5: at most 125 bytes with the code)."""
    assert len(reason.encode()) <= 123
    assert ": " in reason

"""What of a file a client wants: RFC 9110 §13 and §14, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http import datetimeToString
from twisted.web.http_headers import Headers

from portofcall.web.conditions import has_current, wanted_part

TAG = '"a-b"'
MODIFIED = 1_700_000_000
DATE = datetimeToString(MODIFIED)
LATER, EARLIER = datetimeToString(MODIFIED + 1), datetimeToString(MODIFIED - 1)


class FakeRequest:
    """The parts of a request that count here."""

    def __init__(self, method: bytes = b"GET", **headers: bytes | list[bytes]) -> None:
        self.method = method
        self.requestHeaders = Headers()
        for name, values in headers.items():
            self.requestHeaders.setRawHeaders(
                name.replace("_", "-"), values if isinstance(values, list) else [values]
            )


@pytest.mark.parametrize(
    ("headers", "current"),
    [
        ({}, False),
        ({"if_none_match": b'"a-b"'}, True),
        ({"if_none_match": b'"x", W/"a-b"'}, True),
        ({"if_none_match": [b'"x"', b'"a-b"']}, True),
        ({"if_none_match": b"*"}, True),
        ({"if_none_match": b"a-b"}, False),
        ({"if_none_match": b'"x"', "if_modified_since": DATE}, False),
        ({"if_modified_since": DATE}, True),
        ({"if_modified_since": LATER}, True),
        ({"if_modified_since": EARLIER}, False),
        ({"if_modified_since": b"yesterday"}, False),
        ({"if_modified_since": b""}, False),
        ({"if_modified_since": [LATER, LATER]}, False),
        ({"if_modified_since": b"Sun, 06 Foo 2999 08:49:37 GMT"}, False),
    ],
)
def test_client_that_has_a_file_is_told(headers: dict[str, bytes], current: bool) -> None:
    """If-None-Match comes first; what is no date is ignored."""
    assert has_current(FakeRequest(**headers), TAG, MODIFIED) is current  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (b"bytes=0-0", range(1)),
        (b"bytes=2-5", range(2, 6)),
        (b"Bytes= 2-5 ", range(2, 6)),
        (b"bytes=2-", range(2, 10)),
        (b"bytes=2-99", range(2, 10)),
        (b"bytes=-3", range(7, 10)),
        (b"bytes=-99", range(10)),
        (b"bytes=10-", range(0)),
        (b"bytes=10-20", range(0)),
        (b"bytes=-0", range(0)),
        (b"bytes=5-2", None),
        (b"bytes=-", None),
        (b"bytes=", None),
        (b"bytes=a-b", None),
        (b"lines=0-1", None),
        (b"bytes=0-0,2-3", None),
        (b"bytes=0-0,", None),
        (b"bytes=" + b"0-," * 1000 + b"0-", None),
        (b"bytes=" + b"9" * 5000 + b"-", None),
        ([b"bytes=0-0", b"bytes=1-1"], None),
    ],
)
def test_one_range_is_a_part_and_several_are_all(value: bytes, part: range | None) -> None:
    """An empty part can't be satisfied; what is malformed is ignored."""
    assert wanted_part(FakeRequest(range=value), 10, TAG, MODIFIED) == part  # type: ignore[arg-type]


def test_part_of_an_empty_file() -> None:
    """All of it is nothing, which is no error."""
    assert wanted_part(FakeRequest(range=b"bytes=-5"), 0, TAG, MODIFIED) is None  # type: ignore[arg-type]
    assert wanted_part(FakeRequest(range=b"bytes=0-"), 0, TAG, MODIFIED) == range(0)  # type: ignore[arg-type]


def test_range_is_for_get_only() -> None:
    """RFC 9110 §14.2."""
    assert wanted_part(FakeRequest(b"HEAD", range=b"bytes=0-0"), 10, TAG, MODIFIED) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (b'"a-b"', True),
        (DATE, True),
        (b'W/"a-b"', False),
        (b'"x"', False),
        (LATER, False),
        (EARLIER, False),
        (b"", False),
        ([b'"a-b"', b'"a-b"'], False),
    ],
)
def test_range_of_another_version_is_all_of_this_one(value: bytes, same: bool) -> None:
    """A part of one version must not be put together with another's."""
    request = FakeRequest(range=b"bytes=0-0", if_range=value)
    assert (wanted_part(request, 10, TAG, MODIFIED) is not None) is same  # type: ignore[arg-type]


@given(st.binary(max_size=30), st.integers(0, 50))
def test_no_range_is_outside_of_the_file(text: bytes, size: int) -> None:
    """Whatever a client sends."""
    try:
        request = FakeRequest(range=b"bytes=" + text)
    except ValueError:
        return
    part = wanted_part(request, size, TAG, MODIFIED)  # type: ignore[arg-type]
    assert part is None or not part or (0 <= part.start < part.stop <= size)

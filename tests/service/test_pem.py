"""Where a file of certificates is broken."""

import pytest

from portofcall.service.pem import line_of_broken_certificate
from tests.certificates import pem_key
from tests.tls_client import GATEWAY, ROOT

BROKEN = b"-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (GATEWAY.pem, None),
        (b"", None),
        (b"a comment\n" + pem_key(GATEWAY.key), None),
        (BROKEN, 1),
        (b"a comment\n\n" + BROKEN, 3),
        (GATEWAY.pem + BROKEN + ROOT.pem, GATEWAY.pem.count(b"\n") + 1),
        (GATEWAY.pem[:100] + b"\n" + ROOT.pem, 1),
        (GATEWAY.pem + ROOT.pem[:100], GATEWAY.pem.count(b"\n") + 1),
    ],
)
def test_the_first_broken_certificate_is_found(content: bytes, line: int | None) -> None:
    """By the line on which it begins; a key or a comment is no certificate."""
    assert line_of_broken_certificate(content) == line

"""Where a file of certificates is broken."""

import re
from typing import Final

from cryptography import x509

#: A certificate in PEM (RFC 7468 §5.1); the last one may lack its end.
_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.*?(?:-----END CERTIFICATE-----|(?=-----BEGIN)|\Z)", re.DOTALL
)


def line_of_broken_certificate(content: bytes) -> int | None:
    """Return the line on which the first certificate begins that can't be parsed; None without one.

    Args:
        content: of the file, which may hold other things in PEM as well.
    """
    for match in _CERTIFICATE.finditer(content):
        try:
            x509.load_pem_x509_certificate(match[0])
        except ValueError:
            return content.count(b"\n", 0, match.start()) + 1
    return None

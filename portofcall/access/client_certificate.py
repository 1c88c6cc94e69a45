"""The certificate of a client: whether there is one, and its subject."""

from typing import Any, Final

from cryptography import x509
from twisted.internet.interfaces import ISSLTransport
from twisted.web.server import Request

from portofcall.errors import CertificateRequired, printable

_MAX_SUBJECT: Final = 64
_ALTERNATIVES: Final = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)


def demand_certificate(request: Request) -> str:
    """Return the subject of the client's certificate, or refuse a request whose connection has none.

    OpenSSL verifies the certificates that clients send, and ends the handshake if one is not valid; it lets
    those through that send none.

    Args:
        request: with its head; of any connection.

    Raises:
        CertificateRequired: there is none.
    """
    subject = certificate_subject(request.channel.transport)
    if subject is None:
        raise CertificateRequired("this listener requires a client certificate")
    return subject


def certificate_subject(transport: Any) -> str | None:
    """Return the subject of the client's certificate, which was verified in the TLS handshake.

    Args:
        transport: the client's connection; of any kind.

    Returns:
        The distinguished name such as ``CN=ada,O=Example`` (RFC 4514), or where that is empty, the first
        email address, URI or DNS name (RFC 5280 §4.2.1.6): plain ASCII, at most 64 characters. None if the
        client gave no certificate, or was not asked for one.
    """
    if not ISSLTransport.providedBy(transport):
        return None
    certificate: Any = transport.getPeerCertificate()
    if certificate is None:
        return None
    return printable(_name(certificate.to_cryptography()) or "certificate", _MAX_SUBJECT)


def common_name(transport: Any) -> str | None:
    """Return the common name in the client's certificate, which was verified in the TLS handshake.

    Args:
        transport: the client's connection; of any kind.

    Returns:
        The name as it stands there, at most 64 characters (RFC 5280, upper bound of a common name); empty if
        there is none, or a longer one. None if the client gave no certificate, or was not asked for one.
    """
    if not ISSLTransport.providedBy(transport):
        return None
    certificate: Any = transport.getPeerCertificate()
    if certificate is None:
        return None
    try:
        names = certificate.to_cryptography().subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except ValueError:  # signed by the authority, but not well-formed
        return ""
    name = str(names[0].value) if names else ""
    return name if len(name) <= _MAX_SUBJECT else ""


def _name(certificate: x509.Certificate) -> str:
    try:
        subject = certificate.subject.rfc4514_string()
        if subject:
            return subject
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = (name for kind in _ALTERNATIVES for name in extension.value.get_values_for_type(kind))
        return next(names, "")
    except (ValueError, x509.ExtensionNotFound):
        # Signed by the authority, but not well-formed.
        return ""

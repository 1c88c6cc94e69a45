"""OpenSSL's context for TLS to a named target."""

from OpenSSL import SSL
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    platformTrust,
    trustRootFromCertificates,
)

from portofcall.egress.named_target import TLSTrust


def make_context(trust: TLSTrust) -> SSL.Context:
    """Make a context for any number of connections: it demands TLS 1.2 and a chain to one of the authorities.

    It is worth keeping, because it loads them.
    """
    if trust.authorities is None:
        root = platformTrust()
    else:
        root = trustRootFromCertificates([Certificate.loadPEM(pem) for pem in trust.authorities])
    options = CertificateOptions(trustRoot=root, raiseMinimumTo=TLSVersion.TLSv1_2)
    return options.getContext()

"""The value of ``--listen``: a Twisted server endpoint, with ``tls+`` in front for TLS of our own."""

import re
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from portofcall.twisted_internals import certificate_options, silence_wrapper

#: Asks for TLS with the certificates of ``--tls-cert``.
TLS_PREFIX: Final = "tls+"
#: Twisted's endpoints with TLS.
_TWISTED_TLS: Final = {"ssl", "tls"}
_FIELD: Final = re.compile(r"(?:\\.|[^:\\])+", re.DOTALL)


def endpoint_fields(text: str) -> list[str]:
    """Split the description of an endpoint at its colons, and remove the escapes and the prefix.

    Args:
        text: the value of ``--listen``.
    """
    return [re.sub(r"\\(.)", r"\1", field) for field in _FIELD.findall(text.removeprefix(TLS_PREFIX))]


def has_own_tls(text: str) -> bool:
    """Whether the listener gets TLS with the certificates of ``--tls-cert``."""
    return text.startswith(TLS_PREFIX)


def is_encrypted(text: str) -> bool:
    """Whether clients speak TLS with the listener: its own, or that of Twisted's ``ssl:`` and ``tls:``."""
    return has_own_tls(text) or _kind(text) in _TWISTED_TLS


def takes_proxy_header(text: str) -> bool:
    """Whether each connection begins with the PROXY header, from a proxy in front."""
    return endpoint_fields(text)[:1] == ["haproxy"]


def make_endpoint(reactor: Any, text: str) -> IStreamServerEndpoint:
    """Make the endpoint itself, without TLS of our own.

    An ``ssl:`` endpoint sends its whole chain: Twisted's own parser keeps the first certificate of a file.

    Args:
        reactor: listens; None to check the text only.
        text: the value of ``--listen``.

    Raises:
        ValueError: TLS is asked for twice.
        Exception: no endpoint plugin can parse the text; each raises what it likes.
    """
    if has_own_tls(text) and _kind(text) in _TWISTED_TLS:
        raise ValueError(f"{TLS_PREFIX} adds TLS to an endpoint without it, such as {TLS_PREFIX}tcp:443")
    endpoint: IStreamServerEndpoint = serverFromString(reactor, text.removeprefix(TLS_PREFIX))
    if _kind(text) == "ssl":
        _complete_chain(endpoint, endpoint_fields(text))
    if takes_proxy_header(text):
        # It would log itself as an object in memory.
        silence_wrapper(endpoint)
    return endpoint


def _kind(text: str) -> str:
    """Return the name of the endpoint that listens, such as ``tcp``."""
    return next((field for field in endpoint_fields(text) if field != "haproxy"), "")


def _complete_chain(endpoint: Any, fields: list[str]) -> None:
    options = certificate_options(endpoint)
    values = {name: value for name, _, value in (field.partition("=") for field in fields)}
    if "extraCertChain" not in values:
        path = Path(values.get("certKey") or values.get("privateKey") or "server.pem")
        options.extraCertChain = x509.load_pem_x509_certificates(path.read_bytes())[1:]
    try:
        options.getContext()
    except SSL.Error as problem:
        raise ValueError(f"OpenSSL refuses privateKey or certKey: {problem}") from None

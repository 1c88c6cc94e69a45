"""TLS to a gateway: which authorities, and which certificate of the client's own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from OpenSSL import SSL

from portofcall.errors import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSOptions:
    """How a client speaks TLS.

    Attributes:
        cacert: a file of authorities in PEM, in place of the system's; None means the system's.
        cert: the client's certificate in PEM, with the chain below it; None means none.
        key: its key in PEM; None means that it is in the file of ``cert``.
        insecure: whether any certificate of the gateway is accepted.
    """

    cacert: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    insecure: bool = False


def make_context(options: TLSOptions) -> SSL.Context:
    """Make a context for any number of connections: it demands TLS 1.2.

    Raises:
        ValueError: a file can't be read, or is not what it should be; the message names the option.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    if options.insecure:
        context.set_verify(SSL.VERIFY_NONE)
    else:
        context.set_verify(SSL.VERIFY_PEER)
        if options.cacert is None:
            context.set_default_verify_paths()
        else:
            _load("--cacert", options.cacert, context.load_verify_locations)
    if options.key is not None and options.cert is None:
        raise ValueError("--key: expected --cert with it")
    if options.cert is not None:
        _load("--cert", options.cert, context.use_certificate_chain_file)
        _load("--key", options.key or options.cert, context.use_privatekey_file)
    return context


def _load(option: str, path: Path, load: Callable[[str], object]) -> None:
    try:
        # OpenSSL's own error for a missing file names neither the file nor the reason.
        path.open("rb").close()
        load(str(path))
    except OSError as error:
        raise ValueError(f"{option} {printable(str(path))}: {error.strerror}") from None
    except SSL.Error as error:
        if "mismatch" in str(error):
            raise ValueError("--key: expected the key of the certificate in --cert") from None
        kind = "a private key" if option == "--key" else "certificates"
        raise ValueError(f"{option} {printable(str(path))}: expected {kind} in PEM") from None

"""The TLS options, checked against each other and against the listeners."""

from collections.abc import Mapping
from typing import Any

from portofcall.errors import printable
from portofcall.service.endpoint import has_own_tls
from portofcall.service.tls_files import TLSFileError, TLSFiles, TLSVersion


def find_tls_files(options: Mapping[str, Any]) -> TLSFiles | None:
    """Return the files of the TLS options.

    Args:
        options: as `portofcall.service.options.Options` has them.

    Returns:
        None if no listener begins with ``tls+``.

    Raises:
        TLSFileError: a listener has no certificate, an option has no listener, or a certificate has no key.
            The message is one line that names the option.
    """
    endpoints = [("--listen", text) for text in options["listen"]]
    if options["admin"] is not None:
        endpoints.append(("--admin", options["admin"]))
    listeners = [f"{option} {printable(text)}" for option, text in endpoints if has_own_tls(text)]
    if not listeners:
        for name in ("tls-cert", "tls-key", "tls-client-ca", "tls-min-version"):
            if options[name]:
                raise TLSFileError(f"--{name}: needs a tls+ endpoint, such as --listen tls+tcp:443")
        return None
    if not options["tls-cert"]:
        raise TLSFileError(f"{listeners[0]}: needs a certificate, --tls-cert")
    return TLSFiles(
        certificates=options["tls-cert"],
        keys=options["tls-key"],
        client_ca=options["tls-client-ca"],
        min_version=options["tls-min-version"] or TLSVersion.TLS_1_2,
    )

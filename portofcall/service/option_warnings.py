"""Options that are accepted, but seldom meant or risky: one line for the log about each."""

import datetime
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from portofcall.access.password_file import PasswordFile
from portofcall.egress.target_file import TargetFile
from portofcall.errors import printable
from portofcall.relay import tls_records
from portofcall.service.options import Options


def option_warnings(options: Options) -> Iterator[str]:
    """Yield a line about each risky option.

    Args:
        options: parsed.
    """
    for network in options["trust-forwarded"]:
        if network.prefixlen == 0:
            yield (
                f"--trust-forwarded {network}: every client is trusted as a proxy and can claim any address "
                "in X-Forwarded-For, for its limits, its failed logins and the log"
            )
    for option, path in _secret_files(options):
        # The file may have been removed since; reading it has its own errors.
        with suppress(OSError):
            if path.stat().st_mode & stat.S_IROTH:
                yield f"{option}{printable(str(path))}: readable by every user of this host; chmod o-r it"

    for file in options["target-file"]:
        if file.has_tokens:
            yield from _token_warnings(file)
    if options.tls is not None:
        if tls_records.UNAVAILABLE:
            yield f"TLS is slower than it could be: this pyOpenSSL has no {tls_records.UNAVAILABLE}"
        yield from options.tls.material.warnings(datetime.datetime.now(datetime.UTC))


def _token_warnings(file: TargetFile) -> Iterator[str]:
    with suppress(OSError):
        files = sorted(file.path.iterdir()) if file.path.is_dir() else []
        for path in (file.path, *files):
            mode = path.stat().st_mode
            shown = f"--target-file {file}: {printable(path.name)} is" if files else f"--target-file {file}:"
            if mode & stat.S_IWOTH:
                yield f"{shown} writable by every user of this host, who may add targets; chmod o-w it"
                return
            if mode & stat.S_IROTH and not stat.S_ISDIR(mode):
                yield f"{shown} readable by every user of this host; chmod o-r it"
                return


def _secret_files(options: Options) -> Iterator[tuple[str, Path]]:
    key = options.credentials.ticket_key
    if key is not None and key.can_issue:
        yield "--ticket-key ", options["ticket-key"]
    for checker in (*options["credCheckers"], *options["admin-auth"]):
        if isinstance(checker, PasswordFile):
            yield f"{checker.option} file:", checker.path
    if options.tls_files is not None:
        for option, path in options.tls_files.secret:
            yield f"{option} ", path

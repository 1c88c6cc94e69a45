"""What the operator's commands ask a gateway's admin listener."""

import argparse
import http.client
import json
import os
import socket
import ssl
from base64 import b64encode
from getpass import getpass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from portofcall.commands import Once
from portofcall.errors import printable

#: Where the listener is, if the command line does not say so.
ENVIRONMENT: Final = "PORTOFCALL_ADMIN"
_TIMEOUT_SECONDS: Final = 10.0


class AdminError(Exception):
    """The listener could not be asked, or refused. The message is one line."""


class _UNIXConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def add_admin_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the admin listener is, and with which credentials."""
    parser.add_argument(
        "--admin",
        metavar="URL",
        action=Once,
        help="the gateway's admin listener: http://127.0.0.1:PORT, https://HOST:PORT or unix:PATH "
        f"[default: the environment's {ENVIRONMENT}]",
    )
    parser.add_argument(
        "--user",
        metavar="NAME",
        action=Once,
        help="a user of --admin-auth; the password is asked for on the terminal",
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        action=Once,
        type=Path,
        help="a file whose first line is the password",
    )
    parser.add_argument(
        "--cacert", metavar="FILE", action=Once, help="authorities in PEM [default: the system's]"
    )
    parser.add_argument(
        "--cert",
        metavar="FILE",
        action=Once,
        help="a client certificate in PEM, where there is --tls-client-ca",
    )
    parser.add_argument(
        "--key", metavar="FILE", action=Once, help="its key in PEM [default: that in the file of --cert]"
    )


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which tunnels are meant."""
    parser.add_argument(
        "--client", metavar="ADDRESS", action=Once, help="those of an address, a block of them, or local"
    )
    parser.add_argument("--subject", action=Once, help="those of an authenticated user")
    parser.add_argument(
        "--target", action=Once, help="those to a target, as the table shows it: HOST:PORT or a name"
    )


def filters(args: argparse.Namespace) -> dict[str, str]:
    """Return the filters of a command line, by name."""
    names = ("client", "subject", "target")
    return {name: value for name in names if (value := getattr(args, name)) is not None}


class AdminAPI:
    """Requests to one admin listener, each on a connection of its own.

    Args:
        args: with the options of `add_admin_arguments`.

    Raises:
        AdminError: an option is missing or malformed, or its file can't be read.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._url = args.admin or os.environ.get(ENVIRONMENT, "")
        if not self._url:
            raise AdminError(f"expected --admin URL, or {ENVIRONMENT} in the environment")
        self._headers: dict[str, str] = {}
        self._tls: ssl.SSLContext | None = None
        self._connection()
        try:
            if _is_https(self._url):
                self._tls = _make_tls(args)
            else:
                _refuse_tls(args)
            if args.user is not None:
                login = f"{args.user}:{_password(args)}".encode()
                self._headers["Authorization"] = f"Basic {b64encode(login).decode()}"
            elif args.password_file is not None:
                raise AdminError("--password-file: needs --user")
        except OSError as problem:
            file = printable(str(args.password_file), 200)
            raise AdminError(f"--password-file {file}: {problem.strerror}") from None

    def request(self, method: str, path: str) -> Any:
        """Send one request.

        Args:
            method: such as ``GET``.
            path: with its query, if any.

        Returns:
            The JSON of the response; None if there is no such resource.

        Raises:
            AdminError: there is no valid response, or it is an error.
        """
        connection = self._connection()
        try:
            connection.request(method, path, headers=self._headers)
            response = connection.getresponse()
            status, body = response.status, response.read()
        except (OSError, http.client.HTTPException) as problem:
            reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
            raise AdminError(f"{printable(self._url)}: {printable(reason)}") from None
        finally:
            connection.close()
        try:
            payload = json.loads(body)
            if status == http.HTTPStatus.NOT_FOUND and payload["code"] == "not-found":
                return None
            if status != http.HTTPStatus.OK:
                raise AdminError(f"{printable(self._url)}: {printable(str(payload['error']), 300)}")
        except (ValueError, LookupError, TypeError):
            raise AdminError(f"{printable(self._url)} is no admin listener (HTTP {status})") from None
        return payload

    def _connection(self) -> http.client.HTTPConnection:
        if self._url.startswith("unix:"):
            return _UNIXConnection(self._url.removeprefix("unix:"), timeout=_TIMEOUT_SECONDS)
        try:
            parts = urlsplit(self._url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        else:
            more = parts.username or parts.path.strip("/") or parts.query
            if parts.scheme not in ("http", "https") or more:
                host = None
        if not host:
            expected = "http://127.0.0.1:9090, https://HOST:PORT or unix:PATH"
            raise AdminError(f"--admin: expected {expected}, got '{printable(self._url)}'")
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)


def _password(args: argparse.Namespace) -> str:
    path: Path | None = args.password_file
    if path is None:
        return getpass(f"Password of {printable(args.user)}: ")
    try:
        return path.read_text("utf-8").partition("\n")[0].removesuffix("\r")
    except UnicodeDecodeError:
        raise AdminError(f"--password-file {printable(str(path))}: expected UTF-8") from None


def _make_tls(args: argparse.Namespace) -> ssl.SSLContext:
    if args.key is not None and args.cert is None:
        raise AdminError("--key: expected --cert with it")
    option, path = "--cacert", args.cacert
    try:
        context = ssl.create_default_context(cafile=args.cacert)
        if args.cert is not None:
            option, path = "--cert", args.cert
            context.load_cert_chain(args.cert, args.key)
    except ssl.SSLError:
        expected = "certificates" if option == "--cacert" else "a certificate, and its key,"
        raise AdminError(f"{option} {printable(path)}: expected {expected} in PEM") from None
    except OSError as problem:
        raise AdminError(f"{option} {printable(path)}: {problem.strerror}") from None
    return context


def _refuse_tls(args: argparse.Namespace) -> None:
    for name in ("cacert", "cert", "key"):
        if getattr(args, name) is not None:
            raise AdminError(f"--{name}: needs --admin https://HOST:PORT")


def _is_https(url: str) -> bool:
    return url.lower().startswith("https:")

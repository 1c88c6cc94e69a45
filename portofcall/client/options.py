"""The options that all of the client's commands have, and the route to a gateway that they make."""

import argparse
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from twisted.internet.threads import deferToThread

from portofcall.client import credentials, proxy
from portofcall.client.config import read_config
from portofcall.client.connection import DEFAULT_CONNECT_TIMEOUT_SECONDS, Route
from portofcall.client.credentials import Login
from portofcall.client.gateway_url import GatewayURL
from portofcall.client.problem import usage
from portofcall.client.report import LogFormat, Report
from portofcall.client.tls import TLSOptions
from portofcall.client.tunnel import CLIENT_LIMITS
from portofcall.errors import InvalidTarget
from portofcall.target import Requested, Target, TargetName

#: The value of ``--proxy`` for a direct connection.
DIRECT: Final = "none"


def make_target(host: str | None, port: str | None, name: str | None) -> Requested:
    """Return the target of a command line.

    Args:
        host: HOST, if given.
        port: PORT, if given.
        name: the value of ``--target``, if given.

    Raises:
        Problem: HOST and PORT, or ``--target`` alone, are missing or invalid.
    """
    try:
        if name is not None:
            if host is not None:
                raise usage("--target: expected without HOST and PORT")
            return TargetName.parse(name)
        if host is None or port is None:
            raise usage("expected HOST and PORT, or --target NAME")
        return Target.parse(host, port)
    except InvalidTarget as error:
        raise usage(error.sentence) from None


def make_report(
    command: str, args: argparse.Namespace, *, write: Callable[[str], object] | None = None
) -> Report:
    """Return what says things, with ``write`` or on standard error."""
    return Report(command, detail=args.verbose, log_format=LogFormat(args.log_format), write=write)


def make_route(args: argparse.Namespace, report: Report, *, environ: Mapping[str, str] = os.environ) -> Route:
    """Return the route to the gateway of a command line.

    Args:
        args: of ``portofcall.commands.client_arguments``.
        report: gets warnings.
        environ: the environment.

    Raises:
        Problem: an option, the environment or the configuration is not valid.
    """
    try:
        return _make_route(args, report, environ)
    except ValueError as error:
        raise usage(str(error)) from None


def _make_route(args: argparse.Namespace, report: Report, environ: Mapping[str, str]) -> Route:
    options = _options(args)
    url = GatewayURL.parse(options["url"])
    if url.password is not None and options["url"] == args.gateway:
        report.warn("the password in the URL is visible to all users of this machine; use --password-file")
    tls = TLSOptions(
        cacert=_path(options.get("cacert")),
        cert=_path(options.get("cert")),
        key=_path(options.get("key")),
        insecure=options.get("insecure", False),
    )
    if tls.insecure and url.secure:
        report.warn(f"--insecure: the certificate of {url} is NOT verified; anyone in between can read all")
    limits = replace(
        CLIENT_LIMITS,
        ping_interval_seconds=options.get("ping_interval", CLIENT_LIMITS.ping_interval_seconds),
        ping_timeout_seconds=options.get("ping_timeout", CLIENT_LIMITS.ping_timeout_seconds),
    )
    return Route(
        url=url,
        tls=tls,
        proxy=_proxy(options.get("proxy"), url, report),
        login=_login(options, url, environ),
        connect_timeout_seconds=options.get("connect_timeout", DEFAULT_CONNECT_TIMEOUT_SECONDS),
        limits=limits,
    )


def _options(args: argparse.Namespace) -> Mapping[str, Any]:
    """Return the options of the command line, and below them those of the configuration."""
    given = {name: value for name, value in vars(args).items() if value is not None and value is not False}
    gateway: str = args.gateway
    if "://" in gateway or gateway.startswith("unix:"):
        return {**given, "url": gateway}
    gateways = read_config(args.config)
    if gateway not in gateways:
        known = ", ".join(gateways) or "none"
        raise ValueError(f"GATEWAY: expected a URL, or a gateway of the configuration, which has {known}")
    configured = gateways[gateway]
    if any(name in given for name in _LOGIN):
        configured = {name: value for name, value in configured.items() if name not in _LOGIN}
    return {**configured, **given, "url": configured["url"]}


_LOGIN: Final = ("ticket_file", "ticket_command", "user", "password_file")


def _proxy(text: str | None, url: GatewayURL, report: Report) -> proxy.Proxy | None:
    if url.unix_path or text == DIRECT:
        return None
    if text is None:
        return proxy.from_environment(url.server.host, secure=url.secure)
    try:
        found = proxy.Proxy.parse(text)
    except ValueError as problem:
        raise ValueError(f"--proxy: {problem}") from None
    if found.password is not None:
        report.warn("the password in --proxy is visible to all users of this machine; use HTTPS_PROXY")
    return found


def _login(
    options: Mapping[str, Any], url: GatewayURL, environ: Mapping[str, str]
) -> Callable[[], Awaitable[Login]]:
    given = [name for name in ("ticket_file", "ticket_command", "user") if options.get(name)]
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"{names}: expected one of them")
    if options.get("password_file") and not (options.get("user") or url.user):
        raise ValueError("--password-file: expected --user with it")
    if options.get("ticket_command"):
        command: str = options["ticket_command"]

        async def run() -> Login:
            return Login(ticket=await deferToThread(credentials.run_ticket_command, command))

        return run
    return _constant(_find_login(options, url, environ))


def _find_login(options: Mapping[str, Any], url: GatewayURL, environ: Mapping[str, str]) -> Login:
    if options.get("ticket_file"):
        try:
            return Login(ticket=credentials.read_ticket(Path(options["ticket_file"])))
        except ValueError as error:
            raise ValueError(f"--ticket-file: {error}") from None
    user = options.get("user") or url.user
    if user is not None:
        if ":" in user:
            raise ValueError("--user: expected no colon in it (RFC 7617)")
        return Login(user=user, password=_password(options, url, user))
    if environ.get(credentials.VARIABLE):
        try:
            return Login(ticket=credentials.parse_ticket(environ[credentials.VARIABLE]))
        except ValueError as error:
            raise ValueError(f"{credentials.VARIABLE}: {error}") from None
    return credentials.find_in_netrc(url.server.host) or Login()


def _password(options: Mapping[str, Any], url: GatewayURL, user: str) -> str:
    if options.get("password_file"):
        try:
            return credentials.read_password(Path(options["password_file"]))
        except ValueError as error:
            raise ValueError(f"--password-file: {error}") from None
    if url.password is not None:
        return url.password
    return credentials.ask_password(f"Password of {user} at {url}: ")


def _constant(login: Login) -> Callable[[], Awaitable[Login]]:
    async def found() -> Login:
        return login

    return found


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)

"""Finds the classes of plugins: ours by websockify's names, and any other by its dotted name."""

import argparse
import importlib
from dataclasses import dataclass
from typing import Any, Final

from portofcall.errors import printable
from portofcall.websockify.plugin_calls import describe
from portofcall.websockify.settings import SettingsError

_OURS: Final = {
    "token": {
        **dict.fromkeys(
            ("TokenFile", "ReadOnlyTokenFile", "TokenFileName", "UnixDomainSocketDirectory"), "token_plugins"
        ),
        **dict.fromkeys(("BaseTokenAPI", "JSONTokenApi", "JWTTokenApi", "TokenRedis"), "token_services"),
    },
    "auth": dict.fromkeys(("BasicHTTPAuth", "ExpectOrigin", "ClientCertCNAuth"), "auth_plugins"),
}
_METHODS: Final = {"token": "lookup", "auth": "authenticate"}


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin that is ready.

    Attributes:
        name: of its class, as it was asked for.
        method: what it does.
    """

    name: str
    method: Any


@dataclass(frozen=True, slots=True)
class Plugins:
    """The plugins of a command line.

    Attributes:
        token: finds the targets of tokens; None if there is one target only.
        auth: authenticates clients; None if nothing does.
    """

    token: Plugin | None = None
    auth: Plugin | None = None


def load_plugins(args: argparse.Namespace) -> Plugins:
    """Make the plugins of a command line; see `load_plugin`."""
    found = {
        kind: load_plugin(kind, name, getattr(args, f"{kind}_source"))
        for kind in _OURS
        if (name := getattr(args, f"{kind}_plugin")) is not None
    }
    return Plugins(**found)


def load_plugin(kind: str, name: str, source: str | None) -> Plugin:
    """Make a plugin.

    Args:
        kind: ``token`` or ``auth``.
        name: of the class: one of websockify's, or a dotted name. With ``websockify.token_plugins.`` or
            ``websockify.auth_plugins.`` in front it is websockify's own, if that is installed.
        source: what the class is made with.

    Raises:
        SettingsError: there is no such class, or it can't be made.
    """
    option, ours = f"--{kind}-plugin {printable(name, 100)}", _OURS[kind]
    module, _, leaf = name.rpartition(".")
    if not module and leaf not in ours:
        raise SettingsError(f"{option}: expected {', '.join(ours)} or a dotted name")
    try:
        made = _find(kind, module, leaf)(source)
        return Plugin(name, getattr(made, _METHODS[kind]))
    except (KeyboardInterrupt, SettingsError):
        raise
    except BaseException as problem:  # noqa: BLE001 - a plugin raises what it likes, SystemExit too
        text = str(problem) or describe(problem)
        raise SettingsError(f"{option}: {printable(text, 300)}") from None


def _find(kind: str, module: str, leaf: str) -> Any:
    if module:
        try:
            return getattr(importlib.import_module(module), leaf)
        except ModuleNotFoundError:
            if module != f"websockify.{kind}_plugins" or leaf not in _OURS[kind]:
                raise
    return getattr(importlib.import_module(f"portofcall.websockify.{_OURS[kind][leaf]}"), leaf)

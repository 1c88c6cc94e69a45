"""``config.toml``: gateways with a name, and their options."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from portofcall.errors import printable

#: The keys of a gateway, and the type of their values. They are the options of the same name.
KEYS: Final[Mapping[str, type]] = {
    "url": str,
    "ticket_file": str,
    "ticket_command": str,
    "user": str,
    "password_file": str,
    "cacert": str,
    "cert": str,
    "key": str,
    "insecure": bool,
    "proxy": str,
    "connect_timeout": float,
    "ping_interval": float,
    "ping_timeout": float,
}
#: Those whose value is a path, relative to the directory of the file.
PATHS: Final = frozenset({"ticket_file", "password_file", "cacert", "cert", "key"})
_MAX_BYTES: Final = 1024 * 1024
_NAMES: Final[Mapping[type, str]] = {str: "a string", bool: "true or false", float: "a number"}


def default_path() -> Path:
    """Return ``$XDG_CONFIG_HOME/portofcall/config.toml``; by default that is in ``~/.config``."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "portofcall" / "config.toml"


def read_config(path: Path | None) -> Mapping[str, Mapping[str, Any]]:
    """Read the gateways of a file.

    Args:
        path: of the file; None means the default one, which need not exist.

    Returns:
        The options of each gateway, by its name. Paths are absolute.

    Raises:
        ValueError: it can't be read, or is not valid; the message names the file and the key.
    """
    wanted = path or default_path()
    try:
        with wanted.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        if path is None:
            return {}
        raise ValueError(f"{printable(str(wanted))}: no such file") from None
    except OSError as error:
        raise ValueError(f"{printable(str(wanted))}: {error.strerror}") from None
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError("expected at most 1 MiB")
        return parse_config(data.decode(), directory=wanted.parent)
    except ValueError as error:
        raise ValueError(f"{printable(str(wanted))}: {printable(str(error), 200)}") from None


def parse_config(text: str, *, directory: Path) -> Mapping[str, Mapping[str, Any]]:
    """Parse the gateways of a file; see `read_config`.

    Raises:
        ValueError: it is not TOML, or has an unknown key or a wrong value; the message names the key.
    """
    tables = tomllib.loads(text)
    for name in tables:
        if name != "gateway":
            raise ValueError(f"{name}: unknown key; expected tables [gateway.NAME]")
    gateways = tables.get("gateway", {})
    if not isinstance(gateways, dict):
        raise ValueError("gateway: expected tables [gateway.NAME]")
    return {name: _parse_gateway(name, table, directory) for name, table in gateways.items()}


def _parse_gateway(name: str, table: object, directory: Path) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise ValueError(f"gateway.{name}: expected a table [gateway.{name}]")
    options: dict[str, Any] = {}
    for key, value in table.items():
        expected = KEYS.get(key)
        if expected is None:
            raise ValueError(f"gateway.{name}.{key}: unknown key; expected one of {', '.join(KEYS)}")
        if expected is float and type(value) is int:
            value = float(value)  # noqa: PLW2901 - TOML separates them, and people do not
        if type(value) is not expected:
            raise ValueError(f"gateway.{name}.{key}: expected {_NAMES[expected]}")
        options[key] = str(directory / Path(str(value)).expanduser()) if key in PATHS else value
    if "url" not in options:
        raise ValueError(f"gateway.{name}.url: expected the URL of the gateway")
    return options

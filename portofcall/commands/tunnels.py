"""``portofcall tunnels``: the tunnels of a running gateway, as a table."""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from portofcall.commands.admin_api import (
    AdminAPI,
    AdminError,
    add_admin_arguments,
    add_filter_arguments,
    filters,
)
from portofcall.errors import printable

_REFRESH_SECONDS: Final = 2.0
#: Longer text is cut in the table; ``--json`` has all of it.
_MOST_CHARACTERS: Final = 36
_HEADINGS: Final = (
    *("ID", "PHASE", "AGE", "IDLE", "CLIENT", "SUBJECT", "TARGET", "ADDRESS"),
    *("UP", "DOWN", "UP/S", "DOWN/S", "QUEUED", "PAUSED"),
)
#: Columns that need an earlier state.
_RATES: Final = ("UP/S", "DOWN/S")
#: Columns of numbers are aligned to the right.
_NUMBERS: Final = {"AGE", "IDLE", "UP", "DOWN", "UP/S", "DOWN/S", "QUEUED"}
#: ANSI: to the first line; clear the rest of a line; clear everything below.
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
Tunnel = Mapping[str, Any]


def add_arguments(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of ``portofcall``."""
    parser = subparsers.add_parser(
        "tunnels",
        help="show the tunnels of a running gateway",
        description="Show the open tunnels of a gateway that runs with --admin. UP is from the client to its "
        "target, DOWN the other way; QUEUED waits for a slow reader, and PAUSED says whose sender is paused.",
    )
    add_admin_arguments(parser)
    add_filter_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, one tunnel per line")
    parser.add_argument(
        "--watch", action="store_true", help="refresh the table every 2 seconds, until Ctrl-C"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, *, sleep: Callable[[float], None] = time.sleep) -> int:
    """Run the command.

    Args:
        args: parsed.
        sleep: waits for so many seconds.

    Returns:
        The exit status: 0, or 2 if the gateway could not be asked.
    """
    query = urlencode(filters(args))
    before: dict[str, Tunnel] | None = {} if args.watch else None
    seen_at = 0.0
    try:
        admin = AdminAPI(args)
        while True:
            tunnels, now = _ask(admin, query), time.monotonic()
            if args.json:
                sys.stdout.writelines(f"{json.dumps(tunnel)}\n" for tunnel in tunnels)
            else:
                _show(table(tunnels, before, now - seen_at), watch=args.watch)
            sys.stdout.flush()
            if not args.watch:
                return 0
            before, seen_at = {tunnel["id"]: tunnel for tunnel in tunnels}, now
            sleep(_REFRESH_SECONDS)
    except AdminError as problem:
        sys.stderr.write(f"portofcall tunnels: {problem}\n")
        return 2
    except KeyboardInterrupt:
        return 0


def _ask(admin: AdminAPI, query: str) -> Sequence[Tunnel]:
    response = admin.request("GET", f"/tunnels?{query}")
    if not isinstance(response, dict) or not isinstance(response.get("tunnels"), list):
        raise AdminError("the response is not that of an admin listener")
    tunnels: list[Tunnel] = response["tunnels"]
    return tunnels


def table(
    tunnels: Sequence[Tunnel], before: Mapping[str, Tunnel] | None = None, seconds: float = 0
) -> list[str]:
    """Lay out tunnels as lines of text.

    Args:
        tunnels: as ``GET /tunnels`` returns them.
        before: by their ids, as they were some time ago, for the rates; None leaves these columns out.
        seconds: how long ago.

    Returns:
        The line of headings, one line for each tunnel, and a line with their number.
    """
    rows = [_HEADINGS, *(_row(tunnel, (before or {}).get(tunnel["id"]), seconds) for tunnel in tunnels)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if heading in _NUMBERS else cell.ljust(width)
            for heading, cell, width in zip(_HEADINGS, row, widths, strict=True)
            if before is not None or heading not in _RATES
        ).rstrip()
        for row in rows
    ]
    return [*lines, f"{len(tunnels)} tunnel{'' if len(tunnels) == 1 else 's'}"]


def _row(tunnel: Tunnel, before: Tunnel | None, seconds: float) -> tuple[str, ...]:
    port = tunnel["port"]
    paused = [name for name in ("up", "down") if tunnel[f"{name}_paused"]]
    rates = ["", ""]
    if before is not None and seconds > 0:
        changes = (tunnel[name] - before[name] for name in ("up_bytes", "down_bytes"))
        rates = [_size(change / seconds) for change in changes]
    return (
        _text(tunnel["id"]),
        _text(tunnel["phase"]),
        _duration(tunnel["age_seconds"]),
        _duration(tunnel["idle_seconds"]),
        _text(tunnel["client"] if port is None else f"{tunnel['client']}:{port}"),
        _text(tunnel["subject"]),
        _text(tunnel["target"]),
        _text(tunnel["address"]),
        _size(tunnel["up_bytes"]),
        _size(tunnel["down_bytes"]),
        *rates,
        _size(tunnel["up_buffered_bytes"] + tunnel["down_buffered_bytes"]),
        "+".join(paused) or "-",
    )


def _text(value: object) -> str:
    return printable(str(value), _MOST_CHARACTERS) or "-"


def _size(size: float) -> str:
    """Write a number of bytes in at most 5 characters, with units of 1024."""
    for unit in ("", "K", "M", "G"):
        if size < 1000:
            return f"{size:.0f}{unit}" if not unit or size >= 10 else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.0f}T"


def _duration(seconds: float | None) -> str:
    """Write a duration with its two largest units."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for unit, size, part, part_size in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // part_size:02d}{part}"
    return f"{whole}s"


def _show(lines: Sequence[str], *, watch: bool) -> None:
    if not (watch and sys.stdout.isatty()):
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return
    columns, rows = shutil.get_terminal_size()
    *shown, last = lines
    if len(shown) > rows - 2:
        last += f", {len(shown) - rows + 2} of them below this screen"
        shown = shown[: rows - 2]
    screen = "\n".join(f"{line[:columns]}{_CLEAR_LINE}" for line in (*shown, last))
    sys.stdout.write(f"{_HOME}{screen}\n{_CLEAR_BELOW}")

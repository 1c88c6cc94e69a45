"""Parsers for the values of options: sizes, times, counts, rates, endpoints, rules and paths.

Each takes the text of one value and raises `ValueError` with what was expected, as a phrase that `Options`
completes with the option's name and the text.
"""

import re
from pathlib import Path
from typing import Final

from portofcall.egress.named_target import DEFAULT_NAME, NamedTarget
from portofcall.egress.rules import Effect, parse_rule
from portofcall.errors import printable
from portofcall.limits.values import GiB, KiB, MiB, Rate
from portofcall.service.endpoint import make_endpoint

DEFAULT_LISTEN: Final = "tcp:8080:interface=127.0.0.1"

_SIZE: Final = re.compile(r"([0-9]{1,15})([KMG]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_UNITS: Final = {"": 1, "K": KiB, "M": MiB, "G": GiB}
#: The default burst, in seconds' worth of the rate.
_BURST_SECONDS: Final = 4


def parse_size(text: str) -> int:
    """Parse a number of bytes.

    Args:
        text: ``1048576``, ``512K``, ``1M``, ``1MiB``; the units are powers of 1024.

    Returns:
        The number of bytes, at least 1.

    Raises:
        ValueError: the text is not a size, or it is zero.
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(match[1]) * _UNITS[match[2].upper()] if match else 0
    if size < 1:
        raise ValueError("expected a number of bytes such as 1048576, 512K or 1M")
    return size


def parse_grace(text: str) -> float:
    """Parse a time limit that may be 0.

    Args:
        text: a decimal number of seconds, such as ``0`` or ``2.5``.

    Returns:
        Seconds, at most a day.

    Raises:
        ValueError: the text is not such a number.
    """
    if re.fullmatch(r"0{1,6}(\.0{1,6})?", text.strip(), re.ASCII):
        return 0.0
    try:
        return parse_seconds(text)
    except ValueError:
        raise ValueError("expected a number of seconds from 0 to 86400, such as 0, 10 or 2.5") from None


def parse_seconds(text: str) -> float:
    """Parse a time limit.

    Args:
        text: a decimal number of seconds, such as ``10`` or ``2.5``.

    Returns:
        Seconds, more than 0 and at most a day.

    Raises:
        ValueError: the text is not such a number.
    """
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text.strip(), re.ASCII):
        seconds = float(text)
        if 0 < seconds <= 86400:
            return seconds
    raise ValueError("expected a number of seconds above 0 and up to 86400, such as 10 or 2.5")


def parse_count(text: str) -> int:
    """Parse a count.

    Args:
        text: a whole number; 0 means no limit.

    Raises:
        ValueError: the text is not such a number.
    """
    if re.fullmatch(r"[0-9]{1,9}", text.strip(), re.ASCII):
        return int(text)
    raise ValueError("expected a whole number such as 256, or 0 for no limit")


def parse_rate(text: str) -> Rate:
    """Parse a rate with a burst.

    Args:
        text: ``50`` or ``50:200``: events per second, and the most at once. The default burst is four
            seconds' worth. 0 means no limit.

    Raises:
        ValueError: the text is not such a rate.
    """
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(?::([0-9]{1,9}))?", text.strip(), re.ASCII)
    if match is not None:
        per_second = float(match[1])
        burst = int(match[2]) if match[2] else max(1, round(per_second * _BURST_SECONDS))
        if burst or not per_second:
            return Rate(per_second, burst)
    raise ValueError("expected a number per second such as 50, or 50:200 with a burst, or 0 for no limit")


def parse_yes_no(text: str) -> bool:
    """Parse ``yes`` or ``no``.

    Raises:
        ValueError: the text is neither.
    """
    if text not in ("yes", "no"):
        raise ValueError("expected yes or no")
    return text == "yes"


def show_size(size: int) -> str:
    """Write a number of bytes with the largest unit that divides it: ``1M`` for 1048576."""
    unit = max((unit for unit, scale in _UNITS.items() if size % scale == 0), key=_UNITS.__getitem__)
    return f"{size // _UNITS[unit]}{unit}"


def parse_endpoint(text: str) -> str:
    """Check the description of a server endpoint.

    Args:
        text: in the syntax of `twisted.internet.endpoints.serverFromString`, with ``tls+`` in front for TLS.

    Returns:
        The same text; the endpoint itself needs a reactor.

    Raises:
        ValueError: no plugin can parse it, or it is a ``tls:`` endpoint.
    """
    if re.match(r"(haproxy:)*tls:", text):
        raise ValueError(
            "expected tls+tcp: or ssl: instead of tls:, which reads its whole folder again for every unknown "
            "server name that a client sends"
        )
    try:
        make_endpoint(None, text)
    except Exception as problem:  # noqa: BLE001 - each endpoint plugin raises what it likes
        raise ValueError(
            f"expected a Twisted server endpoint such as {DEFAULT_LISTEN} or tls+tcp:443 "
            f"({printable(str(problem))})"
        ) from None
    return text


def parse_allow(text: str) -> str:
    """Check a rule that allows, and return it as text.

    Raises:
        RuleError: see `portofcall.egress.rules.parse_rule`.
    """
    return parse_rule(text, Effect.ALLOW).text


def parse_deny(text: str) -> str:
    """Check a rule that denies, and return it as text.

    Raises:
        RuleError: see `portofcall.egress.rules.parse_rule`.
    """
    return parse_rule(text, Effect.DENY).text


def parse_target(text: str) -> str:
    """Check a named target, and return it as text.

    Raises:
        TargetsError: see `portofcall.egress.named_target.NamedTarget.parse`.
    """
    NamedTarget.parse(text)
    return text


def parse_default_target(text: str) -> str:
    """Check a default target, if it is not a name, and return it as text.

    Raises:
        TargetsError: see `portofcall.egress.named_target.NamedTarget.of`.
    """
    if ":" in text:
        NamedTarget.of(DEFAULT_NAME, text)
    return text


def parse_path(text: str) -> Path:
    """Make a path absolute, because twistd may change its directory later (``--rundir``)."""
    return Path(text).absolute()


def parse_folder(text: str) -> Path:
    """Make the path of a folder absolute.

    Raises:
        ValueError: it is no folder.
    """
    folder = parse_path(text)
    if not folder.is_dir():
        raise ValueError("expected a folder that can be read")
    return folder

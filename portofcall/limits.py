"""How much: the numbers that bound a gateway, each with its unit in its name."""

import re
from dataclasses import dataclass

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

_SIZE = re.compile(r"([0-9]{1,15})([KMG]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1, "K": KiB, "M": MiB, "G": GiB}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one gateway allows itself and others.

    Attributes:
        high_water_bytes: how much may wait for a slow reader before its source is paused. What a transport
            was handed already (64 KiB and one read) comes on top.
        max_message_bytes: the largest payload of a WebSocket message sent out; what is larger is split.
        connect_timeout_seconds: from the first connection attempt to an open TCP connection.
        dns_timeout_seconds: for one look-up of a host name.
        stall_seconds: how long a tunnel that is closing may go without moving a byte.
        linger_seconds: how long a backend may take to close after it was sent FIN and the client is gone.
        max_body_bytes: the largest body of an HTTP request.
    """

    high_water_bytes: int = 1 * MiB
    max_message_bytes: int = 1 * MiB
    connect_timeout_seconds: float = 10.0
    dns_timeout_seconds: float = 5.0
    stall_seconds: float = 30.0
    linger_seconds: float = 5.0
    max_body_bytes: int = 4 * KiB


def parse_size(text: str) -> int:
    """Read a number of bytes as people write it.

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


def parse_seconds(text: str) -> float:
    """Read a time limit.

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

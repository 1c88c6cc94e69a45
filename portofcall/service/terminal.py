"""The terminal that the process was started from, if there is one."""

import errno
import os
from typing import Final

_NONE: Final = (errno.ENXIO, errno.EIO, errno.ENOENT)


def has_terminal() -> bool:
    """Whether the process has a controlling terminal; that counts as true if it can't be found out.

    For a process that had one, False means that its window was closed, or its connection was lost.
    """
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as problem:
        return problem.errno not in _NONE
    return True

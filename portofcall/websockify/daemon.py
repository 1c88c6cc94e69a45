"""Going to the background."""

import os


def become_daemon() -> None:
    """Leave the terminal and the session of the parent process, which exits with status 0.

    What is open stays open, but for the three standard streams. Files that are made later are private.
    """
    if os.fork():
        os._exit(0)
    os.setsid()
    # A process that leads no session gets no terminal.
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    if nothing > 2:
        os.close(nothing)

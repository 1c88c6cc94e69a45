"""From a host name to addresses, by the operating system, in threads of our own."""

import socket
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Thread
from typing import Any, cast
from typing import Protocol as Structure

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

Address = IPv4Address | IPv6Address


class Resolver(Structure):
    """Turns a host name into addresses."""

    def resolve(self, name: str) -> Deferred[Sequence[Address]]:
        """Look ``name`` up once.

        Returns:
            A Deferred of its addresses, the preferred ones first; it fails with `OSError` if there are none.
        """


class ThreadedResolver:
    """Asks the operating system (getaddrinfo), in threads of its own.

    The reactor's thread pool is left alone: ten names that nobody answers for would fill it. The threads are
    daemons, since nothing can end a look-up that hangs.

    Args:
        reactor: delivers the answers.
        threads: how many look-ups run at a time.
    """

    def __init__(self, reactor: Any, *, threads: int = 32) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=threads, name="portofcall-dns")
        self._pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        self._running = 0

    def resolve(self, name: str) -> Deferred[Sequence[Address]]:
        """See `Resolver.resolve`."""
        if not self._pool.started:
            self._pool.start()
        self._running += 1
        return cast(
            "Deferred[Sequence[Address]]", deferToThreadPool(self._reactor, self._pool, self._look_up, name)
        )

    def stop(self) -> None:
        """End the threads; those whose look-up hangs end with the process."""
        if self._pool.started and not self._running:
            self._pool.stop()

    def _look_up(self, name: str) -> Sequence[Address]:
        """Look up, in a thread. The count goes down even if nobody waits for the answer any more."""
        try:
            answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        finally:
            self._reactor.callFromThread(self._over)
        return list(dict.fromkeys(ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))

    def _over(self) -> None:
        self._running -= 1

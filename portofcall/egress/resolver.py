"""From a host name to addresses, by the operating system, in threads of our own."""

import socket
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from ipaddress import ip_address
from itertools import zip_longest
from threading import Thread
from typing import Any, Final, cast
from typing import Protocol as Structure

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from portofcall.egress.hosts_file import HostsFile
from portofcall.target import Address

#: How many addresses of one family are used. A name can have thousands, and to judge them all takes long.
MAX_PER_FAMILY: Final = 8

_ETC_HOSTS = HostsFile()

Answer = Deferred[Sequence[Address]]


class Resolver(Structure):
    """Turns a host name into addresses."""

    def resolve(self, name: str, *, client: str) -> Answer:
        """Look ``name`` up once.

        Args:
            name: in A-labels.
            client: who asks, so that the stuck look-ups of one do not delay another's.

        Returns:
            A Deferred of its addresses, the preferred ones first; it fails with `OSError` if there are none.
        """


class ThreadedResolver:
    """Asks the operating system (getaddrinfo), in threads of its own.

    The reactor's thread pool is left alone: ten names that nobody answers for would fill it. Nothing can
    end a look-up that hangs, so the threads are daemons, and a client's look-up counts until its thread is
    free again, whoever still waits for it.

    Args:
        reactor: delivers the answers.
        threads: how many look-ups run at a time.
        per_client: how many of them may be one client's; its others wait their turn. 0 means no limit.
    """

    def __init__(self, reactor: Any, *, threads: int = 32, per_client: int = 4) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=threads, name="portofcall-dns")
        self._pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        self._per_client = per_client
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[str, Answer]]] = {}

    def resolve(self, name: str, *, client: str) -> Answer:
        """See `Resolver.resolve`."""
        answer: Answer = Deferred()
        self._waiting.setdefault(client, deque()).append((name, answer))
        self._start_next(client)
        return answer

    def stop(self) -> None:
        """End the threads; those whose look-up hangs end with the process."""
        if self._pool.started and not self._running:
            self._pool.stop()

    def _start_next(self, client: str) -> None:
        """Start the client's next look-up that somebody still waits for, if it may have one more."""
        waiting, running = self._waiting[client], self._running.get(client, 0)
        while waiting and not (self._per_client and running >= self._per_client):
            name, answer = waiting.popleft()
            if answer.called:
                continue
            if not self._pool.started:
                self._pool.start()
            running += 1
            self._running[client] = running
            found = deferToThreadPool(self._reactor, self._pool, look_up, name)
            found.addBoth(self._finish, client, answer)
        if not waiting:
            del self._waiting[client]

    def _finish(self, result: Sequence[Address] | Failure, client: str, answer: Answer) -> None:
        running = self._running[client] - 1
        if running:
            self._running[client] = running
        else:
            del self._running[client]
        if client in self._waiting:
            self._start_next(client)
        # Its waiter may have been cancelled meanwhile.
        if not answer.called:
            cast(Any, answer.callback)(result)


def look_up(name: str, *, hosts: HostsFile = _ETC_HOSTS) -> Sequence[Address]:
    """Ask the operating system for the addresses of ``name``, and wait for them.

    The name that was judged is the name that is resolved: with a trailing dot getaddrinfo does not apply the
    ``search`` and ``ndots`` of resolv.conf. With it glibc does not look into /etc/hosts either, so that is
    done here, first.

    Args:
        name: the full name, without a trailing dot.
        hosts: names that are not asked for.

    Raises:
        OSError: there are none, or the look-up failed.
        UnicodeError: the name can't be asked for.
    """
    if listed := hosts.addresses(name):
        return interleave(listed)
    answers = socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM)
    return interleave(ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers)


def interleave(addresses: Iterable[Address]) -> list[Address]:
    """Return the addresses of a name that may be used, in the order in which they are tried.

    These are the first 8 of each family. The families alternate, and that of the first address comes first
    (RFC 8305 section 4), so that a family without a route costs one attempt and not eight.

    Args:
        addresses: the answer of a resolver, the preferred ones first.
    """
    families: dict[int, dict[Address, None]] = {}
    for address in addresses:
        family = families.setdefault(address.version, {})
        if len(family) < MAX_PER_FAMILY:
            family[address] = None
    return [address for turn in zip_longest(*families.values()) for address in turn if address is not None]

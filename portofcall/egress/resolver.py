"""Resolve host names with the operating system, in threads of our own."""

import socket
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv6Network, ip_address
from itertools import chain, zip_longest
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
        """Look up ``name`` once.

        Args:
            name: in A-labels.
            client: the client's key, as counted, so that the stuck look-ups of one do not delay another's.

        Returns:
            A Deferred of its addresses, the preferred ones first; it fails with `OSError` if there are none.
        """


@dataclass(slots=True)
class _Client:
    """The look-ups of one client: how many run, and the names that wait, oldest first."""

    running: int = 0
    waiting: OrderedDict[Answer, str] = field(default_factory=OrderedDict)


class ThreadedResolver:
    """Asks the operating system (getaddrinfo), in threads of its own.

    The reactor's thread pool is left alone: ten names that no server answers for would fill it. Nothing can
    end a look-up that hangs, so the threads are daemons, and a look-up counts until its thread is free again,
    even if its answer is no longer wanted.

    Half of the threads are kept for clients that have no look-up in flight, so look-ups that hang delay other
    clients only if they are those of many: with the defaults, 4 clients with four each, and 16 with one each.
    IPv6 clients are counted by /48, the size of one site's network (RFC 6177).

    Args:
        reactor: delivers the answers.
        threads: how many look-ups run at a time.
        per_client: how many of them may be one client's; its others wait their turn. 0 means no limit.
    """

    def __init__(self, reactor: Any, *, threads: int = 32, per_client: int = 4) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=threads, name="portofcall-dns")
        self._pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        self._threads = threads
        self._unreserved = threads - threads // 2
        self._per_client = per_client
        self._running = 0
        self._clients: dict[str, _Client] = {}
        #: The clients that wait for their first look-up, and those that wait for a further one.
        self._first: OrderedDict[str, None] = OrderedDict()
        self._further: OrderedDict[str, None] = OrderedDict()

    def resolve(self, name: str, *, client: str) -> Answer:
        """See `Resolver.resolve`. Cancelling takes a name that waits out of the queue."""
        site = _site(client)
        answer: Answer = Deferred(lambda answer: self._forget(site, answer))
        self._clients.setdefault(site, _Client()).waiting[answer] = name
        self._queue(site)
        self._start()
        return answer

    def stop(self) -> None:
        """End the threads; those whose look-up hangs end with the process."""
        if self._pool.started and not self._running:
            self._pool.stop()

    def _queue(self, site: str) -> None:
        """Let a client wait in the queue that it belongs to now, if in any."""
        client = self._clients[site]
        may_start = bool(client.waiting) and not 0 < self._per_client <= client.running
        for queue, fits in ((self._first, not client.running), (self._further, client.running > 0)):
            if may_start and fits:
                queue.setdefault(site)
            else:
                queue.pop(site, None)
        if not (client.waiting or client.running):
            del self._clients[site]

    def _start(self) -> None:
        """Start the look-ups that may start: first look-ups of clients before further ones."""
        while self._running < self._threads:
            if self._first:
                site, _ = self._first.popitem(last=False)
            elif self._further and self._running < self._unreserved:
                site, _ = self._further.popitem(last=False)
            else:
                return
            client = self._clients[site]
            answer, name = client.waiting.popitem(last=False)
            client.running += 1
            self._running += 1
            self._queue(site)
            if not self._pool.started:
                self._pool.start()
            found = deferToThreadPool(self._reactor, self._pool, look_up, name)
            found.addBoth(self._finish, site, answer)

    def _finish(self, result: Sequence[Address] | Failure, site: str, answer: Answer) -> None:
        self._clients[site].running -= 1
        self._running -= 1
        self._queue(site)
        self._start()
        # It may have been cancelled meanwhile.
        if not answer.called:
            cast(Any, answer.callback)(result)

    def _forget(self, site: str, answer: Answer) -> None:
        """Drop a name that waits. One that is looked up counts until its thread is free."""
        self._clients[site].waiting.pop(answer, None)
        self._queue(site)


def _site(client: str) -> str:
    """Return the key that a client's look-ups are counted by: of an IPv6 network, the /48 around it."""
    return str(IPv6Network(client).supernet(new_prefix=48)) if ":" in client else client


def look_up(name: str, *, hosts: HostsFile = _ETC_HOSTS) -> Sequence[Address]:
    """Ask the operating system for the addresses of ``name``, and wait for them.

    The name that was judged is the name that is resolved: with a trailing dot getaddrinfo does not apply the
    ``search`` and ``ndots`` of resolv.conf. With it glibc does not look into /etc/hosts either, so that is
    done here, first.

    Args:
        name: the full name, without a trailing dot.
        hosts: names that are not asked for.

    Returns:
        The addresses that may be used, see `interleave`.

    Raises:
        OSError: it has none, or the look-up failed.
        UnicodeError: it can't be encoded as a host name.
    """
    if listed := hosts.addresses(name):
        return interleave(listed)
    answers = socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM)
    # Addresses are made of those that are used only: a thousand take milliseconds that no other thread gets.
    families = dict.fromkeys(answer[0] for answer in answers)
    used = [[answer for answer in answers if answer[0] == family][:MAX_PER_FAMILY] for family in families]
    return interleave(ip_address(str(answer[4][0]).partition("%")[0]) for answer in chain.from_iterable(used))


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

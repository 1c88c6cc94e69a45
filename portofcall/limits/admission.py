"""Admission control: places in use and rates, per client and per target, checked against the limits."""

import math
from collections.abc import Callable
from typing import Self

from portofcall.errors import Busy, TargetBusy, TooManyRequests
from portofcall.limits.counters import RateLimit, UseLimit
from portofcall.limits.values import Limits

#: Retry-After where no rate determines it, in seconds.
_RETRY_SECONDS = 1


class Lease:
    """A place in use. Releasing it again does nothing."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """Release the place."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


_ALL = ""
#: As many downloads one client may have in any case: browsers have six connections to an origin.
_LEAST_DOWNLOADS = 8


def most_downloads_of_one(most: int) -> int:
    """Return how many of the downloads one client may have: a quarter."""
    return most and max(_LEAST_DOWNLOADS, most // 4)


class Admission:
    """Admits clients, and their connections to targets; for tunnels, pings and banners alike; and downloads.

    Args:
        limits: the limits to enforce.
        now: returns monotonic time, in seconds.
        reached: is called for each refusal with the field of `Limits` and the client or target, see
            `portofcall.limits.limit_warnings.LimitWarnings.reached`.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        now: Callable[[], float],
        reached: Callable[[str, str], None] = lambda _field, _key: None,
    ) -> None:
        self._reached = reached
        self._all = UseLimit(limits.max_tunnels)
        self._clients = UseLimit(limits.max_per_client)
        self._targets = UseLimit(limits.max_per_target)
        self._client_targets = UseLimit(limits.max_per_client_target)
        self._downloads = UseLimit(limits.max_downloads)
        self._client_downloads = UseLimit(most_downloads_of_one(limits.max_downloads))
        self._client_rate = RateLimit(limits.rate_per_client, now=now)
        self._target_rate = RateLimit(limits.rate_per_target, now=now)
        self._request_rate = RateLimit(limits.request_rate, now=now)

    @property
    def used(self) -> int:
        """The number of places that clients have now."""
        return self._all.used(_ALL)

    @property
    def downloads(self) -> int:
        """The number of large files that are being sent now."""
        return self._downloads.used(_ALL)

    def count_request(self, client: str) -> None:
        """Count an HTTP request of any kind.

        Args:
            client: the key of its address, see `portofcall.access.client_key`.

        Raises:
            TooManyRequests: the client sends requests too fast.
        """
        wait = self._request_rate.take(client)
        if wait:
            self._reached("request_rate", client)
            raise TooManyRequests("too many requests from this address", retry_after_seconds=math.ceil(wait))

    def enter_client(self, client: str) -> Lease:
        """Take a place for a client.

        Args:
            client: its key, see `portofcall.access.client_address.client_key`.

        Raises:
            TooManyRequests: it exceeds its rate or its places, or all places are taken.
        """
        wait = self._client_rate.take(client)
        if wait:
            self._reached("rate_per_client", client)
            raise TooManyRequests("too many requests from this address", retry_after_seconds=math.ceil(wait))
        if not self._clients.enter(client):
            self._reached("max_per_client", client)
            raise TooManyRequests(
                "too many connections from this address", retry_after_seconds=_RETRY_SECONDS
            )
        if not self._all.enter(_ALL):
            self._clients.leave(client)
            self._reached("max_tunnels", "")
            raise TooManyRequests("the gateway is full", retry_after_seconds=_RETRY_SECONDS)

        def leave() -> None:
            self._clients.leave(client)
            self._all.leave(_ALL)

        return Lease(leave)

    def enter_download(self, client: str) -> Lease:
        """Take a place for a large file that is sent to a client.

        Args:
            client: as for `enter_client`.

        Raises:
            TooManyRequests: too many are being sent to this client.
            Busy: too many are being sent in all.
        """
        if not self._client_downloads.enter(client):
            self._reached("max_downloads", client)
            raise TooManyRequests("too many downloads to this address", retry_after_seconds=_RETRY_SECONDS)
        if not self._downloads.enter(_ALL):
            self._client_downloads.leave(client)
            self._reached("max_downloads", "")
            raise Busy("too many downloads", retry_after_seconds=_RETRY_SECONDS)

        def leave() -> None:
            self._client_downloads.leave(client)
            self._downloads.leave(_ALL)

        return Lease(leave)

    def enter_target(self, target: str, *, client: str, shown: str | None = None) -> Lease:
        """Take a place for one connection attempt, and for the connection that comes of it.

        A refusal takes nothing, neither a place nor rate.

        Args:
            target: the address and port, or the path of a UNIX socket.
            client: as for `enter_client`.
            shown: the target as the client may know it; None means ``target``.

        Raises:
            TargetBusy: the client has too many connections to the target, or the target has too many from all
                clients, or gets new ones too fast.
        """
        pair = (client, target)
        shown = shown or target
        if not self._client_targets.enter(pair):
            self._reached("max_per_client_target", f"{client} to {target}")
            raise TargetBusy(
                f"too many connections from this address to {shown}", retry_after_seconds=_RETRY_SECONDS
            )
        if not self._targets.enter(target):
            self._client_targets.leave(pair)
            self._reached("max_per_target", target)
            raise TargetBusy(f"{shown} has too many connections", retry_after_seconds=_RETRY_SECONDS)

        def leave() -> None:
            self._targets.leave(target)
            self._client_targets.leave(pair)

        wait = self._target_rate.take(target)
        if wait:
            leave()
            self._reached("rate_per_target", target)
            raise TargetBusy(f"{shown} is dialled too often", retry_after_seconds=math.ceil(wait))
        return Lease(leave)

"""A bounded set of guests, such as idle connections, that evicts fairly when it is full."""

from collections.abc import Callable
from typing import Generic, TypeVar

G = TypeVar("G")


class FairEviction(Generic[G]):
    """A room with a limited number of places, shared fairly by clients.

    When it is full a new guest still enters, and another one is evicted: the oldest of the client with the
    most guests. So a client with a thousand connections evicts only its own.

    Args:
        most: the number of places; 0 means no limit.
        evicted: is called with the client of each guest that is evicted.
    """

    def __init__(self, most: int, *, evicted: Callable[[str], None] = lambda _client: None) -> None:
        self._most = most
        self._evicted = evicted
        self._guests: dict[str, dict[G, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, guest: G, client: str) -> G | None:
        """Add a guest.

        Args:
            guest: not in the room.
            client: its client.

        Returns:
            The guest that is evicted for it, already removed; None if there was a place.
        """
        self._guests.setdefault(client, {})[guest] = None
        self._count += 1
        return self._choose() if self._most and self._count > self._most else None

    def leave(self, guest: G, client: str) -> None:
        """Remove a guest; one that is not there is ignored."""
        guests = self._guests.get(client, {})
        if guest in guests:
            del guests[guest]
            self._count -= 1
            if not guests:
                del self._guests[client]

    def _choose(self) -> G:
        client, guests = max(self._guests.items(), key=lambda item: len(item[1]))
        guest = next(iter(guests))
        self.leave(guest, client)
        self._evicted(client)
        return guest

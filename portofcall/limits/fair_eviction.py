"""Who waits, such as connections that ask for nothing: how many may, and who goes when there are more."""

from typing import Generic, TypeVar

G = TypeVar("G")


class FairEviction(Generic[G]):
    """Room for so many guests, shared fairly.

    When it is full a new guest is let in all the same, and another one goes: the one that has waited longest
    of the client that has most of them there. So somebody with a thousand connections drives out nobody's but
    their own.

    Args:
        most: how many there is room for; 0 means no limit.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._guests: dict[str, dict[G, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def enter(self, guest: G, client: str) -> G | None:
        """Let a guest in.

        Args:
            guest: not in the room.
            client: whose it is.

        Returns:
            Who has to go for it, if there is no more room. It is not in the room any more.
        """
        self._guests.setdefault(client, {})[guest] = None
        self._count += 1
        return self._choose() if self._most and self._count > self._most else None

    def leave(self, guest: G, client: str) -> None:
        """Let a guest out; one that is not there any more may be let out again."""
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
        return guest

"""How much is logged about clients, which the operator may change for a time."""

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

#: The most clients with a level of their own: each takes memory until its time is over.
MOST_CLIENTS: Final = 100
#: Stands for all clients.
ALL: Final = ""


class Level(IntEnum):
    """What is logged; each level includes those after it."""

    #: Each step of a tunnel.
    DEBUG = 10
    #: One record of each tunnel, probe and refusal, and of other requests.
    INFO = 20
    #: Limits that are reached.
    WARN = 30


class Setting(NamedTuple):
    """A level that was set.

    Attributes:
        client: an address as the log shows it, or `ALL`.
        level: the level.
        ends_at: when it ends, by the clock of its `LogLevels`.
    """

    client: str
    level: Level
    ends_at: float


class LogLevels:
    """The levels that are in force. A client's own counts more than that of all, and INFO is the default.

    Args:
        now: returns monotonic time, in seconds.
    """

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._settings: dict[str, Setting] = {}

    def set(self, level: Level, *, client: str, seconds: float) -> None:
        """Set a level, in place of the one before.

        Args:
            level: the level.
            client: an address as the log shows it, or `ALL`.
            seconds: for how long.

        Raises:
            ValueError: there are levels for `MOST_CLIENTS` others.
        """
        others = [setting for setting in self if setting.client != client]
        if len(others) >= MOST_CLIENTS:
            raise ValueError(f"there are levels for {MOST_CLIENTS} clients already")
        self._settings = {setting.client: setting for setting in others}
        self._settings[client] = Setting(client, level, self._now() + seconds)

    def __iter__(self) -> Iterator[Setting]:
        """Yield the settings in force."""
        now = self._now()
        return iter([setting for setting in self._settings.values() if setting.ends_at > now])

    def of(self, client: str) -> Level:
        """Return the level for a client.

        Args:
            client: an address as the log shows it.
        """
        if not self._settings:
            return Level.INFO
        now = self._now()
        for name in (client, ALL):
            setting = self._settings.get(name)
            if setting is not None and setting.ends_at > now:
                return setting.level
        return Level.INFO

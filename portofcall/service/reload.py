"""Reloading files while the service runs: the policy, and what else the operator may change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twisted.logger import Logger

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloadable(Generic[_T]):
    """Something that is read from files, at the start and again at each reload.

    Attributes:
        name: a singular noun for the log, such as ``policy``.
        read: reads the files; raises `ValueError` with a reason that names the file. It changes nothing.
        use: puts in force what was read, and returns a summary for the log.
    """

    name: str
    read: Callable[[], _T]
    use: Callable[[_T], str]


class Reload:
    """Reads files again when it is called.

    If one of them can't be read, its previous state stays in force, the log has the reason, and the others
    are reloaded all the same.

    Args:
        reloadables: what is reloaded, in this order.

    Attributes:
        succeeded: whether everything could be read the last time.
    """

    _log = Logger()

    def __init__(self, reloadables: Sequence[Reloadable[Any]]) -> None:
        self._reloadables = reloadables
        self.succeeded = True

    def __call__(self) -> None:
        """Read everything now."""
        self.succeeded = True
        if not self._reloadables:
            self._log.info("nothing to reload: no option names a file")
        for reloadable in self._reloadables:
            try:
                state = reloadable.read()
            except ValueError as error:
                self.succeeded = False
                self._log.error(
                    "{name} not reloaded, the previous one stays in force: {error}",
                    name=reloadable.name,
                    error=error,
                )
                continue
            self._log.info("{name} reloaded: {summary}", name=reloadable.name, summary=reloadable.use(state))

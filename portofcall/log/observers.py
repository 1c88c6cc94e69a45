"""The observers of a gateway's events."""

from twisted.logger import Logger

from portofcall.events import Event, Observer


class Observers:
    """Calls each observer with each event. One that fails is logged, and ends nothing.

    Args:
        first: the first observer.
    """

    _log = Logger()

    def __init__(self, first: Observer) -> None:
        self._observers = [first]

    def add(self, observer: Observer) -> None:
        """Call one more from now on."""
        self._observers.append(observer)

    def __call__(self, event: Event) -> None:
        """Report an event."""
        for observer in self._observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - applications add observers, which raise what they like
                self._log.failure("an observer failed")

"""A series of pings, and what is printed of it."""

import json
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from portofcall.client.api import ping
from portofcall.client.connection import Gateway
from portofcall.client.problem import Problem, Status
from portofcall.target import Requested

#: A problem of the target, not of the gateway: the next ping may do better.
_PASSING = (Status.TARGET, Status.TRY_LATER)


class Pings:
    """Pings a target again and again, and prints each result as it comes.

    Args:
        target: of the pings.
        as_json: whether JSON is printed, one object per line.
        write: prints; None means standard output, without delay.
    """

    def __init__(
        self, target: Requested, *, as_json: bool, write: Callable[[str], object] | None = None
    ) -> None:
        self._target = target
        self._as_json = as_json
        self._write = write or _write_now
        self._sent = 0
        self._times: list[float] = []
        self._last: Problem | None = None

    async def run(self, gateway: Gateway, clock: Any, *, count: int | None, interval_seconds: float) -> None:
        """Ping.

        Args:
            gateway: opens the connections.
            clock: keeps the time.
            count: how often; None means until this is cancelled.
            interval_seconds: from one ping to the next.

        Raises:
            Problem: the gateway is not reachable or refuses, or no ping was answered.
        """
        if not self._as_json:
            self._write(f"PING {self._target} through {gateway.route.url}\n")
        while count is None or self._sent < count:
            if self._sent:
                await deferLater(clock, interval_seconds)
            self._sent += 1
            try:
                self._answered(await ping(gateway, self._target))
            except Problem as problem:
                self._last = problem
                if problem.status not in _PASSING:
                    raise
                self._failed(problem)
            except CancelledError:
                # It is not known what would have come of it.
                self._sent -= 1
                raise
        if self._last is not None and not self._times:
            raise Unanswered(self._last)

    def summarize(self) -> None:
        """Print the summary."""
        times, sent = self._times, self._sent
        loss = 100 * (sent - len(times)) / sent if sent else 0.0
        average = sum(times) / len(times) if times else 0.0
        deviation = (
            max(sum(time * time for time in times) / len(times) - average**2, 0) ** 0.5 if times else 0.0
        )
        if self._as_json:
            summary: dict[str, Any] = {"sent": sent, "answered": len(times), "loss_percent": round(loss, 1)}
            if times:
                figures = {"min": min(times), "avg": average, "max": max(times), "mdev": deviation}
                summary["rtt"] = {name: round(value, 3) for name, value in figures.items()}
            self._write(json.dumps(summary) + "\n")
            return
        self._write(f"\n--- {self._target} ---\n{sent} pings, {len(times)} answered, {loss:.3g}% loss\n")
        if times:
            figures_text = "/".join(f"{value:.3f}" for value in (min(times), average, max(times), deviation))
            self._write(f"rtt min/avg/max/mdev = {figures_text} ms\n")

    def _answered(self, rtt: float) -> None:
        self._times.append(rtt)
        if self._as_json:
            self._write(json.dumps({"seq": self._sent, "rtt": rtt}) + "\n")
        else:
            self._write(f"{self._target}: seq={self._sent} time={rtt:.2f} ms\n")

    def _failed(self, problem: Problem) -> None:
        if self._as_json:
            fields = {"seq": self._sent, "code": problem.slug, "error": problem.sentence}
            self._write(json.dumps(fields) + "\n")
        else:
            self._write(f"{self._target}: seq={self._sent} {problem.slug}: {problem.sentence}\n")


class Unanswered(Problem):
    """No ping was answered; the last problem says why."""

    def __init__(self, last: Problem) -> None:
        super().__init__(last.slug, last.sentence, last.status)


def _write_now(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

"""The loads: each runs once against a contestant, and computes the figures of its row."""

import resource
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.benchmarks.policy import microseconds_per_judgement
from tests.benchmarks.programs import Programs
from tests.benchmarks.row import Figures, Measure
from tests.benchmarks.running import Running

KiB = 1024
MB = 1_000_000
_SETTLED_SECONDS = 0.5
#: The longest wait for that, in multiples of the time that other rows measure for.
_MOST_SETTLING = 10
#: Tunnels of a contestant that forks for each.
_FORKED_TUNNELS = 100
_BULK_TUNNELS = 8
#: The share of handshakes that have to be abbreviated in a row about them.
_MOSTLY = 0.9
#: The figure that is no line of the table: the share of a core that the client took.
LOAD = "load"
#: How many rules a policy has.
RULES = (10, 10_000)


def speed(
    load: str, figures: Mapping[str, Callable[[Any], float]], *, tunnels: int = 1, size: int = 64
) -> Measure:
    """Run a load, and compute the figures from its results; "load" is the client's share of a core."""

    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        result = _run(load, programs, running, seconds, tunnels=tunnels, size=size)
        return {LOAD: result["cpu_share"]} | {name: value(result) for name, value in figures.items()}

    return measure


def beside(bulk: str, times: Mapping[str, str], moved: str) -> Measure:
    """Measure echoes beside bulk tunnels, whose client is a process of its own."""

    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        with programs.hold(
            bulk, running.port, running.path, tunnels=_BULK_TUNNELS, size=64 * KiB, security=running.security
        ) as held:
            echoes = _run("echo", programs, running, seconds)
            bulky = held.end()
        figures = {name: float(echoes[key]) for name, key in times.items()}
        return figures | {moved: megabytes(bulky), LOAD: echoes["cpu_share"] + bulky["cpu_share"]}

    return measure


def megabytes(result: Any) -> float:
    """Return how fast bytes went, in MB/s."""
    return float(result["bytes"] / result["seconds"] / MB)


def rate(result: Any) -> float:
    """Return how many there were in a second."""
    return float(result["count"] / result["seconds"])


def resumed_rate(result: Any) -> float:
    """Return the rate, or 0 if the contestant does not resume sessions: that would be another row."""
    return rate(result) if result["resumed"] > _MOSTLY else 0.0


def memory(load: str, tunnels: int, figure: str) -> Measure:
    """Hold tunnels, and measure what each adds to the memory of the contestant, in KiB."""

    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        many = min(_FORKED_TUNNELS if running.contestant.forks else tunnels, _most_tunnels())
        # The first tunnel also loads modules: that is not the cost of a tunnel.
        _run("echo", programs, running, 0.1)
        before = running.memory_bytes()
        with programs.hold(load, running.port, running.path, tunnels=many, security=running.security):
            return {figure: (_settled(running, seconds * _MOST_SETTLING) - before) / many / KiB}

    return measure


def _most_tunnels() -> int:
    """Return how many tunnels a process can have: two descriptors each, and some for everything else."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 100


def _settled(running: Running, seconds: float) -> int:
    """Wait until memory stops growing, for at most that long, and return it."""
    most, since = running.memory_bytes(), time.monotonic()
    deadline = since + seconds
    while time.monotonic() < min(since + _SETTLED_SECONDS, deadline):
        time.sleep(0.1)
        now = running.memory_bytes()
        if now > most * 1.001:
            most, since = now, time.monotonic()
    return running.memory_bytes()


def start(programs: Programs, running: Running, seconds: float) -> Figures:
    """Return how long the process took until it listened, in ms."""
    return {"start": running.start_seconds * 1000}


def judge(programs: Programs, running: Running, seconds: float) -> Figures:
    """Judge targets under each number of rules."""
    return {
        f"judge {rules} rules": microseconds_per_judgement(running.contestant.python, rules)
        for rules in RULES
    }


def _run(
    load: str, programs: Programs, running: Running, seconds: float, *, tunnels: int = 1, size: int = 64
) -> Any:
    return programs.run(
        load,
        running.port,
        running.path,
        seconds=seconds,
        tunnels=tunnels,
        size=size,
        security=running.security,
        program=running.program,
    )

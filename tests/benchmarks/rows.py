"""The rows of the table, each with its load."""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from operator import itemgetter
from typing import Any

from tests.benchmarks.contestants import Running
from tests.benchmarks.programs import Programs

KiB = 1024
MB = 1_000_000
_SETTLED_SECONDS = 0.5
#: The longest wait for that, in multiples of the time that other rows measure for.
_MOST_SETTLING = 10
#: Tunnels of a contestant that forks for each.
_FORKED_TUNNELS = 100

#: The values that one load measured, by the name of the figure.
Figures = Mapping[str, float]
#: Runs a load once against a contestant; the last argument is how long, in seconds.
Measure = Callable[[Programs, Running, float], Figures]


class Better(Enum):
    """Which way a figure is better."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A line of the table.

    Attributes:
        name: in the table.
        unit: of the printed value.
        better: which way.
        digits: decimals.
        tolerance: how much worse than before it may become, as a share of the value.
    """

    name: str
    unit: str
    better: Better = Better.MORE
    digits: int = 0
    tolerance: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A load, and the figures it yields.

    Attributes:
        name: on the command line.
        load: in a sentence.
        figures: that it measures.
        measure: runs the load.
        of_process: whether it measures the process itself, which plain TCP does not have.
    """

    name: str
    load: str
    figures: tuple[Figure, ...]
    measure: Measure
    of_process: bool = False


def _speed(
    load: str, figures: Mapping[str, Callable[[Any], float]], *, tunnels: int = 1, size: int = 64
) -> Measure:
    """Run a load, and compute the figures from its results; "load" is the client's share of a core."""

    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        result = programs.run(load, running.port, running.path, seconds=seconds, tunnels=tunnels, size=size)
        return {"load": result["cpu_share"]} | {name: value(result) for name, value in figures.items()}

    return measure


def _megabytes(result: Any) -> float:
    return float(result["bytes"] / result["seconds"] / MB)


def _rate(result: Any) -> float:
    return float(result["count"] / result["seconds"])


def _memory(load: str, tunnels: int, figure: str) -> Measure:
    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        many = min(_FORKED_TUNNELS if running.contestant.forks else tunnels, _most_tunnels())
        # The first tunnel also loads modules: that is not the cost of a tunnel.
        programs.run("echo", running.port, running.path, seconds=0.1, tunnels=1, size=64)
        before = running.memory_bytes()
        with programs.hold(load, running.port, running.path, tunnels=many):
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
        memory = running.memory_bytes()
        if memory > most * 1.001:
            most, since = memory, time.monotonic()
    return running.memory_bytes()


def _start(programs: Programs, running: Running, seconds: float) -> Figures:
    return {"start": running.start_seconds * 1000}


def _bytes_per_second(name: str) -> tuple[Figure]:
    return (Figure(name=name, unit="MB/s"),)


_TIMES = (
    Figure(name="rtt 1 p50", unit="us", better=Better.LESS, digits=1),
    Figure(name="rtt 1 p99", unit="us", better=Better.LESS, digits=1),
)


def _kib(name: str) -> tuple[Figure]:
    return (Figure(name=name, unit="KiB", better=Better.LESS, digits=1),)


ROWS = (
    Row(
        name="start",
        load="from starting the process until it listens",
        figures=(Figure(name="start", unit="ms", better=Better.LESS, tolerance=0.15),),
        measure=_start,
        of_process=True,
    ),
    Row(
        name="down",
        load="one tunnel, the backend sends as fast as it can",
        figures=_bytes_per_second("down"),
        measure=_speed("down", {"down": _megabytes}),
    ),
    Row(
        name="up64",
        load="one tunnel, the client sends masked binary frames of 64 KiB",
        figures=_bytes_per_second("up 64 KiB"),
        measure=_speed("up", {"up 64 KiB": _megabytes}, size=64 * KiB),
    ),
    Row(
        name="up4",
        load="one tunnel, the client sends masked binary frames of 4 KiB",
        figures=_bytes_per_second("up 4 KiB"),
        measure=_speed("up", {"up 4 KiB": _megabytes}, size=4 * KiB),
    ),
    Row(
        name="rtt1",
        load="one tunnel, echoes of 64 bytes",
        figures=_TIMES,
        measure=_speed("echo", {"rtt 1 p50": itemgetter("p50_us"), "rtt 1 p99": itemgetter("p99_us")}),
    ),
    Row(
        name="rtt100",
        load="100 tunnels, echoes of 64 bytes in each",
        figures=(Figure(name="rtt 100", unit="1/s"),),
        measure=_speed("echo", {"rtt 100": _rate}, tunnels=100),
    ),
    Row(
        name="open",
        load="open a tunnel, one echo, close; one after the other",
        figures=(Figure(name="open", unit="1/s"),),
        measure=_speed("open", {"open": _rate}),
    ),
    Row(
        name="idle",
        load="2000 tunnels, each used once (100 if each is a process)",
        figures=_kib("idle memory"),
        measure=_memory("hold-idle", 2000, "idle memory"),
        of_process=True,
    ),
    Row(
        name="stalled",
        load="20 tunnels whose clients do not read",
        figures=_kib("stalled memory"),
        measure=_memory("hold-stalled", 20, "stalled memory"),
        of_process=True,
    ),
)

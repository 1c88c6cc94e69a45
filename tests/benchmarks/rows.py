"""The rows of the table, each with its load."""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from operator import itemgetter
from typing import Any

from tests.benchmarks.contestants import Contestant, Running
from tests.benchmarks.policy import microseconds_per_judgement
from tests.benchmarks.programs import Programs
from tests.benchmarks.security import Security

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
_LOAD = "load"
#: How many rules a policy has.
_RULES = (10, 10_000)

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


class Group(Enum):
    """Rows that are measured together; the values are their names on the command line."""

    PLAIN = "plain"
    TLS = "tls"
    MIXED = "mixed"
    POLICY = "policy"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A load, and the figures it yields.

    Attributes:
        name: on the command line.
        load: in a sentence.
        figures: that it measures.
        measure: runs the load.
        group: that it belongs to.
        security: how clients connect.
        of_process: whether it measures the process itself, which plain TCP does not have.
        of_library: whether it calls this gateway's Python.
    """

    name: str
    load: str
    figures: tuple[Figure, ...]
    measure: Measure
    group: Group = Group.PLAIN
    security: Security = Security.PLAIN
    of_process: bool = False
    of_library: bool = False

    def admits(self, contestant: Contestant) -> bool:
        """Report whether it can be measured with a contestant."""
        if (self.group is Group.CLIENT) is not contestant.is_client and contestant.command is not None:
            return False
        if self.security not in contestant.securities or (self.of_library and not contestant.python):
            return False
        return not (self.of_process and contestant.command is None)


def _speed(
    load: str, figures: Mapping[str, Callable[[Any], float]], *, tunnels: int = 1, size: int = 64
) -> Measure:
    """Run a load, and compute the figures from its results; "load" is the client's share of a core."""

    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        result = _run(load, programs, running, seconds, tunnels=tunnels, size=size)
        return {_LOAD: result["cpu_share"]} | {name: value(result) for name, value in figures.items()}

    return measure


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


def _beside(bulk: str, times: Mapping[str, str], rate: str) -> Measure:
    """Measure echoes beside bulk tunnels, whose client is a process of its own."""

    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        with programs.hold(
            bulk, running.port, running.path, tunnels=_BULK_TUNNELS, size=64 * KiB, security=running.security
        ) as held:
            echoes = _run("echo", programs, running, seconds)
            moved = held.end()
        figures = {name: float(echoes[key]) for name, key in times.items()}
        return figures | {rate: _megabytes(moved), _LOAD: echoes["cpu_share"] + moved["cpu_share"]}

    return measure


def _megabytes(result: Any) -> float:
    return float(result["bytes"] / result["seconds"] / MB)


def _rate(result: Any) -> float:
    return float(result["count"] / result["seconds"])


def _resumed_rate(result: Any) -> float:
    """Return the rate, or 0 if the contestant does not resume sessions: that would be another row."""
    return _rate(result) if result["resumed"] > _MOSTLY else 0.0


def _memory(load: str, tunnels: int, figure: str) -> Measure:
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
        memory = running.memory_bytes()
        if memory > most * 1.001:
            most, since = memory, time.monotonic()
    return running.memory_bytes()


def _start(programs: Programs, running: Running, seconds: float) -> Figures:
    return {"start": running.start_seconds * 1000}


def _judge(programs: Programs, running: Running, seconds: float) -> Figures:
    return {
        f"judge {rules} rules": microseconds_per_judgement(running.contestant.python, rules)
        for rules in _RULES
    }


def _bytes_per_second(name: str) -> tuple[Figure]:
    return (Figure(name=name, unit="MB/s"),)


#: The percentiles of a round trip, and their names in the client's results.
_PERCENTILES = {"p50": "p50_us", "p99": "p99_us", "p99.9": "p999_us"}


def _times(name: str) -> dict[str, str]:
    return {f"{name} {percentile}": key for percentile, key in _PERCENTILES.items()}


def _microseconds(*names: str) -> tuple[Figure, ...]:
    return tuple(Figure(name=name, unit="us", better=Better.LESS, digits=1) for name in names)


def _round_trip() -> Measure:
    return _speed("echo", {name: itemgetter(key) for name, key in _times("rtt 1").items()})


def _kib(name: str) -> tuple[Figure]:
    return (Figure(name=name, unit="KiB", better=Better.LESS, digits=1),)


_PLAIN = (
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
        figures=_microseconds(*_times("rtt 1")),
        measure=_round_trip(),
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
        name="open16",
        load="the same, 16 at a time",
        figures=(Figure(name="open 16", unit="1/s"),),
        measure=_speed("open", {"open 16": _rate}, tunnels=16),
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


def _over_tls(name: str) -> Row:
    """Make the row over TLS of a plain one."""
    plain = next(row for row in _PLAIN if row.name == name)

    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        found = plain.measure(programs, running, seconds)
        return {figure if figure == _LOAD else f"TLS {figure}": value for figure, value in found.items()}

    return replace(
        plain,
        name=f"tls-{name}",
        group=Group.TLS,
        security=Security.TLS,
        load=f"{name}, over TLS",
        figures=tuple(replace(figure, name=f"TLS {figure.name}") for figure in plain.figures),
        measure=measure,
    )


ROWS = (
    *_PLAIN,
    *map(_over_tls, ("down", "up64", "up4", "rtt1", "open")),
    Row(
        name="tls-resume",
        group=Group.TLS,
        security=Security.RESUMED,
        load="open, over TLS, the session resumed (0: the contestant does not resume)",
        figures=(Figure(name="TLS open resumed", unit="1/s"),),
        measure=_speed("open", {"TLS open resumed": _resumed_rate}),
    ),
    _over_tls("idle"),
    Row(
        name="mixed-down",
        group=Group.MIXED,
        load="rtt1 beside 8 tunnels that are busy downstream",
        figures=(*_microseconds(*_times("rtt beside 8 down")), *_bytes_per_second("8 down beside rtt")),
        measure=_beside("hold-down", _times("rtt beside 8 down"), "8 down beside rtt"),
    ),
    Row(
        name="mixed-up",
        group=Group.MIXED,
        load="rtt1 beside 8 tunnels that are busy upstream",
        figures=(*_microseconds(*_times("rtt beside 8 up")), *_bytes_per_second("8 up beside rtt")),
        measure=_beside("hold-up", _times("rtt beside 8 up"), "8 up beside rtt"),
    ),
    Row(
        name="client-down",
        group=Group.CLIENT,
        load="down, through a client of the gateway",
        figures=_bytes_per_second("client down"),
        measure=_speed("down", {"client down": _megabytes}),
    ),
    Row(
        name="client-up",
        group=Group.CLIENT,
        load="plain bytes up, through a client of the gateway",
        figures=_bytes_per_second("client up"),
        measure=_speed("up", {"client up": _megabytes}, size=64 * KiB),
    ),
    Row(
        name="client-rtt",
        group=Group.CLIENT,
        load="rtt1, through a client of the gateway",
        figures=_microseconds("client rtt"),
        measure=_speed("echo", {"client rtt": itemgetter("p50_us")}),
    ),
    Row(
        name="policy",
        group=Group.POLICY,
        load="judge targets under policies of 10 and of 10,000 rules; without a connection",
        figures=_microseconds(*(f"judge {rules} rules" for rules in _RULES)),
        measure=_judge,
        of_process=True,
        of_library=True,
    ),
)

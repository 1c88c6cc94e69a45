"""The rows of the table, each with its load."""

from dataclasses import replace
from operator import itemgetter

from tests.benchmarks.loads import (
    LOAD,
    RULES,
    KiB,
    beside,
    judge,
    megabytes,
    memory,
    rate,
    resumed_rate,
    speed,
    start,
)
from tests.benchmarks.programs import Programs
from tests.benchmarks.row import Better, Figure, Figures, Group, Measure, Row
from tests.benchmarks.running import Running
from tests.benchmarks.security import Security


def _bytes_per_second(name: str) -> tuple[Figure]:
    return (Figure(name=name, unit="MB/s"),)


#: The percentiles of a round trip, and their names in the client's results.
_PERCENTILES = {"p50": "p50_us", "p99": "p99_us", "p99.9": "p999_us"}


def _times(name: str) -> dict[str, str]:
    return {f"{name} {percentile}": key for percentile, key in _PERCENTILES.items()}


def _microseconds(*names: str) -> tuple[Figure, ...]:
    return tuple(Figure(name=name, unit="us", better=Better.LESS, digits=1) for name in names)


def _round_trip() -> Measure:
    return speed("echo", {name: itemgetter(key) for name, key in _times("rtt 1").items()})


def _kib(name: str) -> tuple[Figure]:
    return (Figure(name=name, unit="KiB", better=Better.LESS, digits=1),)


_PLAIN = (
    Row(
        name="start",
        load="from starting the process until it listens",
        figures=(Figure(name="start", unit="ms", better=Better.LESS, tolerance=0.15),),
        measure=start,
        of_process=True,
    ),
    Row(
        name="down",
        load="one tunnel, the backend sends as fast as it can",
        figures=_bytes_per_second("down"),
        measure=speed("down", {"down": megabytes}),
    ),
    Row(
        name="up64",
        load="one tunnel, the client sends masked binary frames of 64 KiB",
        figures=_bytes_per_second("up 64 KiB"),
        measure=speed("up", {"up 64 KiB": megabytes}, size=64 * KiB),
    ),
    Row(
        name="up4",
        load="one tunnel, the client sends masked binary frames of 4 KiB",
        figures=_bytes_per_second("up 4 KiB"),
        measure=speed("up", {"up 4 KiB": megabytes}, size=4 * KiB),
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
        measure=speed("echo", {"rtt 100": rate}, tunnels=100),
    ),
    Row(
        name="open",
        load="open a tunnel, one echo, close; one after the other",
        figures=(Figure(name="open", unit="1/s"),),
        measure=speed("open", {"open": rate}),
    ),
    Row(
        name="open16",
        load="the same, 16 at a time",
        figures=(Figure(name="open 16", unit="1/s"),),
        measure=speed("open", {"open 16": rate}, tunnels=16),
    ),
    Row(
        name="idle",
        load="2000 tunnels, each used once (100 if each is a process)",
        figures=_kib("idle memory"),
        measure=memory("hold-idle", 2000, "idle memory"),
        of_process=True,
    ),
    Row(
        name="stalled",
        load="20 tunnels whose clients do not read",
        figures=_kib("stalled memory"),
        measure=memory("hold-stalled", 20, "stalled memory"),
        of_process=True,
    ),
)


def _over_tls(name: str) -> Row:
    """Make the row over TLS of a plain one."""
    plain = next(row for row in _PLAIN if row.name == name)

    def measure(programs: Programs, running: Running, seconds: float) -> Figures:
        found = plain.measure(programs, running, seconds)
        return {figure if figure == LOAD else f"TLS {figure}": value for figure, value in found.items()}

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
        measure=speed("open", {"TLS open resumed": resumed_rate}),
    ),
    _over_tls("idle"),
    Row(
        name="mixed-down",
        group=Group.MIXED,
        load="rtt1 beside 8 tunnels that are busy downstream",
        figures=(*_microseconds(*_times("rtt beside 8 down")), *_bytes_per_second("8 down beside rtt")),
        measure=beside("hold-down", _times("rtt beside 8 down"), "8 down beside rtt"),
    ),
    Row(
        name="mixed-up",
        group=Group.MIXED,
        load="rtt1 beside 8 tunnels that are busy upstream",
        figures=(*_microseconds(*_times("rtt beside 8 up")), *_bytes_per_second("8 up beside rtt")),
        measure=beside("hold-up", _times("rtt beside 8 up"), "8 up beside rtt"),
    ),
    Row(
        name="client-down",
        group=Group.CLIENT,
        load="down, through a client of the gateway",
        figures=_bytes_per_second("client down"),
        measure=speed("down", {"client down": megabytes}),
    ),
    Row(
        name="client-up",
        group=Group.CLIENT,
        load="plain bytes up, through a client of the gateway",
        figures=_bytes_per_second("client up"),
        measure=speed("up", {"client up": megabytes}, size=64 * KiB),
    ),
    Row(
        name="client-rtt",
        group=Group.CLIENT,
        load="rtt1, through a client of the gateway",
        figures=_microseconds("client rtt"),
        measure=speed("echo", {"client rtt": itemgetter("p50_us")}),
    ),
    Row(
        name="policy",
        group=Group.POLICY,
        load="judge targets under policies of 10 and of 10,000 rules; without a connection",
        figures=_microseconds(*(f"judge {rules} rules" for rules in RULES)),
        measure=judge,
        of_process=True,
        of_library=True,
    ),
)

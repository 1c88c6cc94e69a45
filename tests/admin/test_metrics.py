"""/metrics shows what has happened, in Prometheus' format."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import error

from portofcall import __version__
from portofcall.access.authenticator import Credentials
from portofcall.admin.counts import OTHER, WAIT_SECONDS, EventCounts, Histogram, slugs
from portofcall.errors import GatewayError, TargetError
from portofcall.events import Event
from portofcall.limits.values import KiB, Limits, Rate
from portofcall.relay import causes
from portofcall.testing import PUBLIC, WebSocketClient, pack_frame, upgrade_request
from tests.admin.support import AdminWorld
from tests.support import Post, basic, need_prometheus, turn

PACKAGE = Path(causes.__file__).parents[1]


class Scraped(AdminWorld):
    """A world with metrics.

    Attributes:
        draining: what the gauge of that name is to show.
        reloaded: the same.
        certificates: the same.
    """

    def __init__(self, **options: Any) -> None:
        need_prometheus()
        from portofcall.admin.metrics import Metrics, Sources

        super().__init__(**options)
        self.reloaded = True
        self.certificates: Mapping[str, float] = {}
        self.counts = counts = EventCounts(["max-tunnels", "request-rate"])
        self.lag = Histogram(WAIT_SECONDS)
        self.gateway.observe(counts)
        self.text = Metrics(
            Sources(
                counts=counts,
                lag=self.lag,
                tunnels=lambda: len(self.gateway.sessions),
                downloads=lambda: self.gateway.admission.downloads,
                draining=lambda: not self.gateway.accepting,
                reloaded=lambda: self.reloaded,
                certificates=lambda: self.certificates,
            )
        ).text

    def observe_admin(self, event: Event) -> None:
        """Count what happens on the admin listener too, as the service does."""
        super().observe_admin(event)
        self.counts(event)

    def scrape(self) -> dict[str, float]:
        """Return each sample by its name and labels."""
        response = self.ask("GET", "/metrics")
        assert response.status == 200
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        lines = [line for line in response.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_ended_and_open_tunnels_are_counted() -> None:
    """Bytes of both, so that the counter never decreases."""
    world = Scraped()
    client = WebSocketClient(world)
    client.send(pack_frame(2, b"x" * 100))
    client.backend.send(b"y" * 7)
    before = world.scrape()
    assert before["portofcall_active_tunnels"] == 1
    assert before['portofcall_tunnel_bytes_total{direction="up"}'] == 100
    assert before["portofcall_handshake_duration_seconds_count"] == 1
    world.reactor.advance(5)
    client.transport.lose()
    client.backend.lose()
    after = world.scrape()
    assert after["portofcall_active_tunnels"] == 0
    assert after['portofcall_tunnels_total{result="client-lost"}'] == 1
    assert after['portofcall_tunnel_bytes_total{direction="up"}'] == 100
    assert after['portofcall_tunnel_bytes_total{direction="down"}'] == 7
    assert after["portofcall_tunnel_duration_seconds_count"] == 1
    assert after["portofcall_tunnel_duration_seconds_sum"] >= 5
    assert after["portofcall_dial_duration_seconds_count"] == 1
    assert after["portofcall_handshake_duration_seconds_count"] == 1


def test_handshakes_of_tunnels_that_never_open_are_counted() -> None:
    """Each once, when it is over."""
    world = Scraped()
    refused = WebSocketClient(world)
    invalid = WebSocketClient(world, upgrade_request("host=127.1&port=22"))
    world.refuse(error.ConnectionRefusedError())
    for client in (refused, invalid):
        client.transport.lose()
    assert world.scrape()["portofcall_handshake_duration_seconds_count"] == 2


def test_flow_control_is_shown() -> None:
    """Whose sender was paused, how often and for how long, and what waits now."""
    world = Scraped(limits=Limits(high_water_bytes=100 * KiB))
    client = WebSocketClient(world)
    for _ in range(3):
        client.backend.send(b"y" * 100 * KiB)
    world.reactor.advance(2)
    seen = world.scrape()
    assert seen['portofcall_flow_control_pauses_total{direction="down"}'] == 1
    assert seen['portofcall_flow_control_paused_seconds_total{direction="down"}'] == 2
    assert seen['portofcall_buffered_bytes{direction="down"}'] >= 200 * KiB
    assert seen['portofcall_flow_control_pauses_total{direction="up"}'] == 0


def test_failures_are_counted_by_their_slugs() -> None:
    """Tunnels that came to nothing, with the look-up that they took."""
    world = Scraped()
    for host in ("10.0.0.1", "nowhere.example"):
        WebSocketClient(world, upgrade_request(f"host={host}&port=22")).transport.lose()
    seen = world.scrape()
    assert seen['portofcall_tunnels_total{result="blocked"}'] == 1
    assert seen['portofcall_tunnels_total{result="name-not-found"}'] == 1
    assert seen["portofcall_dns_duration_seconds_count"] == 1


def test_refusals_are_counted_by_their_slugs() -> None:
    """Failed authentications by what was tried as well."""
    checker = InMemoryUsernamePasswordDatabaseDontUse()
    checker.addUser(b"ada", b"secret")
    world = Scraped(credentials=Credentials(checkers=[checker]))
    WebSocketClient(world, upgrade_request(Origin="https://elsewhere.example"))
    WebSocketClient(world, upgrade_request(Authorization=basic("ada", "wrong")[0].decode()))
    WebSocketClient(world)
    Post(world, "/api/ping", {"host": "127.1", "port": 443})
    seen = world.scrape()
    assert seen['portofcall_refused_total{reason="origin-refused"}'] == 1
    assert seen['portofcall_refused_total{reason="unauthorized"}'] == 2
    assert seen['portofcall_refused_total{reason="invalid-target"}'] == 1
    assert seen['portofcall_auth_failures_total{kind="password"}'] == 1
    assert seen['portofcall_auth_failures_total{kind="none"}'] == 1


def test_probes_are_counted() -> None:
    """Those that were answered, and those that failed."""
    world = Scraped()
    Post(world, "/api/ping", {"host": PUBLIC, "port": 443})
    world.accept()
    Post(world, "/api/ping", {"host": PUBLIC, "port": 80})
    world.refuse(error.ConnectionRefusedError())
    seen = world.scrape()
    assert seen['portofcall_probes_total{result="ok"}'] == 1
    assert seen['portofcall_probes_total{result="refused"}'] == 1
    assert seen["portofcall_dial_duration_seconds_count"] == 2


def test_limits_are_counted_by_their_names() -> None:
    """Each refusal, where the log has one line a minute."""
    world = Scraped(limits=Limits(request_rate=Rate(1, 1)))
    for _ in range(3):
        WebSocketClient(world)
    seen = world.scrape()
    assert seen['portofcall_limit_reached_total{limit="request-rate"}'] == 2
    assert seen['portofcall_limit_reached_total{limit="max-tunnels"}'] == 0


def test_what_the_admin_listener_refuses_is_counted() -> None:
    """Someone who guesses the operator's password is seen like any other; the rates are its own."""
    checker = InMemoryUsernamePasswordDatabaseDontUse(ops=b"secret")
    world = Scraped(operators=Credentials(checkers=[checker]), limits=Limits(request_rate=Rate(1, 1)))
    world.ask("GET", "/metrics", Authorization=basic("ops", "wrong")[0].decode())
    world.ask("GET", "/metrics", Origin="https://elsewhere.example")
    world.ask("GET", "/metrics")
    seen = {name: count for counts in vars(world.counts).values() for name, count in shown(counts)}
    assert (seen["unauthorized"], seen["origin-refused"], seen["too-many-requests"]) == (1, 1, 1)
    assert (seen["password"], seen["request-rate"]) == (1, 1)


def shown(counts: object) -> list[tuple[str, int]]:
    """Return labels with their counts, but for those that count nothing."""
    return [(label, count) for label, count in getattr(counts, "counts", {}).items() if count]


def test_names_of_metrics_are_those_of_the_documentation() -> None:
    """Each metric has its row, with its kind and its labels, and no row is of one that does not exist."""
    world = Scraped()
    text = world.ask("GET", "/metrics").body.decode()
    kinds = dict(re.findall(r"^# TYPE (portofcall_\w+) (\w+)$", text, re.MULTILINE))
    labels: dict[str, set[str]] = {name: set() for name in kinds}
    for name, inside in re.findall(r"^(portofcall_\w+)\{(.*)\} ", text, re.MULTILINE):
        labels[re.sub("_bucket$", "", name)] |= set(re.findall(r'(\w+)="', inside)) - {"le"}
    labels["portofcall_certificate_expiry_seconds"] = {"certificate"}
    page = (PACKAGE.parent / "docs" / "monitoring.md").read_text("utf-8")
    rows = re.findall(r"^\| `(portofcall_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", page, re.MULTILINE)
    assert {name: kind for name, _, kind in rows} == kinds
    assert {name: set(filter(None, inside.split(","))) for name, inside, _ in rows} == labels


def test_state_of_the_gateway_is_shown() -> None:
    """Its version, whether it drains, its certificates, its last reload, and how late its event loop is."""
    world = Scraped()
    world.certificates = {'/etc/"a"\\b.pem': 86400.0}
    world.lag.observe(0.2)
    seen = world.scrape()
    (build,) = (name for name in seen if name.startswith("portofcall_build_info"))
    assert f'version="{__version__}"' in build
    assert seen["portofcall_draining"] == 0
    assert seen["portofcall_config_reload_success"] == 1
    assert seen['portofcall_certificate_expiry_seconds{certificate="/etc/\\"a\\"\\\\b.pem"}'] == 86400
    assert seen['portofcall_event_loop_lag_seconds_bucket{le="0.1"}'] == 0
    assert seen['portofcall_event_loop_lag_seconds_bucket{le="0.25"}'] == 1
    assert seen["process_resident_memory_bytes"] > 0
    world.gateway.drain()
    world.reloaded = False
    seen = world.scrape()
    assert (seen["portofcall_draining"], seen["portofcall_config_reload_success"]) == (1, 0)


def test_labels_are_known_beforehand() -> None:
    """What a client chooses (hosts, users, paths, tokens) makes no new time series, however large it is."""
    world = Scraped()
    before = set(world.scrape())
    for host in ("a" * 63 + ".example", "evil.example", "x" * 7000):
        query = f"host={host}&port=1&ticket={host}"
        WebSocketClient(world, upgrade_request(query, X_Request_Id=host)).transport.lose()
    Post(world, "/api/ping", {"host": "10.0.0.1", "port": 1})
    after = world.scrape()
    assert set(after) == before
    assert not any(OTHER in name and value for name, value in after.items()), "each slug has a label"


def test_every_slug_of_the_code_has_a_label() -> None:
    """A cause with a slug that is missing in `SLUGS` would be counted as other."""
    sources = [path.read_text() for path in PACKAGE.joinpath("relay").glob("*.py")]
    literal = set(re.findall(r"""(?:Cause\(\s*|slug = |_cut\(\s*)"([a-z-]+)\"""", "\n".join(sources)))
    literal |= set(re.findall(r'_(?:TIMEOUT|OVER), f"([a-z-]+):', "\n".join(sources)))
    assert literal >= {"client-closed", "ping-timeout", "grace-over", "idle-timeout"}
    assert literal <= causes.SLUGS
    counts = EventCounts([])
    assert set(counts.tunnels.counts) >= causes.SLUGS
    assert slugs(GatewayError) <= set(counts.refused.counts)
    assert slugs(TargetError) <= set(counts.tunnels.counts) & set(counts.probes.counts)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_metrics_are_read_only(method: str) -> None:
    """Nothing can be reset."""
    assert AdminWorld().ask(method, "/metrics").status == 405


def test_many_tunnels_are_added_up_in_several_turns() -> None:
    """A scrape does not hold up all others; a tunnel that ends meanwhile counts once."""
    world = Scraped()
    client = WebSocketClient(world)
    client.send(pack_frame(2, b"x" * 100))
    (session,) = world.gateway.sessions.live()
    # The same tunnel, again and again, instead of so many.
    world.gateway.sessions.live = lambda: [session] * 1001  # type: ignore[method-assign]
    connection = world.admin_connection()
    connection.send(b"GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert connection.take() == b""
    client.transport.lose()
    client.backend.lose()
    turn(world.reactor)
    turn(world.reactor)
    assert b'\nportofcall_tunnel_bytes_total{direction="up"} 100100.0\n' in connection.take()

"""Each step of a traced tunnel is described."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.traced_tunnel import TracedTunnel
from portofcall.relay.tunnel import Tunnel
from portofcall.testing import FakeTransport
from tests.support import TUNNEL_LIMITS, FakeClient, open_backend


def test_events_are_described_with_the_states_that_follow() -> None:
    """In order; it ends like any tunnel."""
    steps: list[str] = []
    closed: list[Tunnel] = []
    clock, dialing = Clock(), Deferred[BackendEnd]()
    tunnel = TracedTunnel(
        FakeClient(),
        page=False,
        limits=TUNNEL_LIMITS,
        clock=clock,
        on_closed=closed.append,
        trace=steps.append,
    )
    tunnel.dial(dialing)
    dialing.callback(open_backend(FakeTransport()))
    tunnel.client_lost()
    assert steps[0] == "the dial succeeds: client open, backend open"
    assert steps[-1] == "the client's connection ends: client gone, backend dropped"
    assert closed == []

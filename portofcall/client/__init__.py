"""The client: tunnels through a gateway, for the command line and for applications.

Names are loaded when they are first used (PEP 562), because the start-up time of a command counts.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portofcall.client.connection import Gateway, Route
    from portofcall.client.endpoint import GatewayEndpoint, connect
    from portofcall.client.forward_rules import Rule
    from portofcall.client.forwarder import Forwarder
    from portofcall.client.gateway_url import GatewayURL
    from portofcall.client.problem import Problem, Status

__all__ = [
    "Forwarder",
    "Gateway",
    "GatewayEndpoint",
    "GatewayURL",
    "Problem",
    "Route",
    "Rule",
    "Status",
    "connect",
]

_HOME = {
    "Forwarder": "forwarder",
    "Gateway": "connection",
    "GatewayEndpoint": "endpoint",
    "GatewayURL": "gateway_url",
    "Problem": "problem",
    "Route": "connection",
    "Rule": "forward_rules",
    "Status": "problem",
    "connect": "endpoint",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value

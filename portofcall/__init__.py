"""Port of Call: a WebSocket-to-TCP gateway for Twisted.

What is exported here is the public API. What `portofcall.events` and `portofcall.testing` export is for
applications, too, but may change in any release, like everything else. Names are loaded when they are first
used (PEP 562), so that ``import portofcall`` loads no Twisted.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portofcall.access.authenticator import Credentials
    from portofcall.access.gatekeeper import AccessRules
    from portofcall.access.ticket_key import TicketKey
    from portofcall.egress.local_networks import LocalNetworks
    from portofcall.egress.named_target import NamedTarget, Targets
    from portofcall.egress.policy import Policy, Undecided, Verdict
    from portofcall.egress.resolver import Resolver
    from portofcall.errors import GatewayError
    from portofcall.gateway import Gateway
    from portofcall.limits.values import Limits, Rate
    from portofcall.target import Target, TargetName
    from portofcall.web.shown_targets import Suggestion

__version__ = "0.1.0"

__all__ = [
    "AccessRules",
    "Credentials",
    "Gateway",
    "GatewayError",
    "Limits",
    "LocalNetworks",
    "NamedTarget",
    "Policy",
    "Rate",
    "Resolver",
    "Suggestion",
    "Target",
    "TargetName",
    "Targets",
    "TicketKey",
    "Undecided",
    "Verdict",
    "__version__",
]

_HOME = {
    "AccessRules": "access.gatekeeper",
    "Credentials": "access.authenticator",
    "Gateway": "gateway",
    "GatewayError": "errors",
    "Limits": "limits.values",
    "LocalNetworks": "egress.local_networks",
    "NamedTarget": "egress.named_target",
    "Policy": "egress.policy",
    "Rate": "limits.values",
    "Resolver": "egress.resolver",
    "Suggestion": "web.shown_targets",
    "Target": "target",
    "TargetName": "target",
    "Targets": "egress.named_target",
    "TicketKey": "access.ticket_key",
    "Undecided": "egress.policy",
    "Verdict": "egress.policy",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

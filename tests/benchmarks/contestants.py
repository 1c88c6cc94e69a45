"""The programs under test: this gateway, other gateways, and plain TCP without a gateway."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from tests.benchmarks import commands
from tests.benchmarks.running import Contestant
from tests.benchmarks.security import Security


def gateway(
    name: str,
    twistd: Sequence[str | Path],
    installed: Callable[[], bool] = lambda: True,
    python: Sequence[str | Path] = (sys.executable,),
) -> Contestant:
    """Return this gateway as a contestant.

    Args:
        name: in the table.
        twistd: the words that start ``twistd`` where the gateway is installed.
        installed: reports whether it can be run.
        python: the words that start Python there.
    """
    command = commands.gateway_command(twistd)
    return Contestant(name, command, installed, names_target=True, logs_port=True, python=python)


OURS = gateway("portofcall", commands.TWISTD)
WEBSOCAT = Contestant("websocat", commands.websocat, lambda: bool(commands.find("websocat")))
WEBSOCKIFY = Contestant(
    "websockify", commands.websockify, lambda: bool(commands.find("websockify")), forks=True
)
#: On another event loop; only measured on request.
UVLOOP = gateway("uvloop", commands.TWISTD_ON_UVLOOP, lambda: importlib.util.find_spec("uvloop") is not None)
DIRECT = Contestant("direct", None, securities=frozenset({Security.PLAIN}))
#: HAProxy that ends TLS, in front of this gateway.
HAPROXY = Contestant(
    "haproxy",
    commands.haproxy,
    lambda: bool(commands.find("haproxy")),
    names_target=True,
    securities=frozenset({Security.TLS, Security.RESUMED}),
)
#: Clients of this gateway, in front of it: ``portofcall connect`` and ``forward -L``, and websocat as both.
CONNECT = replace(OURS, name="connect", plain=True, is_client=True, program=commands.connect)
FORWARD = Contestant(
    "forward",
    commands.behind_gateway(commands.forward),
    plain=True,
    is_client=True,
    python=(sys.executable,),
)
WEBSOCAT_PIPED = replace(
    CONNECT, name="websocat-pipe", installed=WEBSOCAT.installed, program=commands.websocat_piped, python=()
)
WEBSOCAT_LISTENING = replace(
    FORWARD,
    name="websocat-port",
    command=commands.behind_gateway(commands.websocat_listening),
    installed=WEBSOCAT.installed,
    python=(),
)
#: Those that are compared in the rows of clients: ours, and the peer in the same role.
CLIENTS = ((CONNECT, WEBSOCAT_PIPED), (FORWARD, WEBSOCAT_LISTENING))
CONTESTANTS = {
    each.name: each
    for each in (OURS, WEBSOCAT, WEBSOCKIFY, HAPROXY, UVLOOP, *chain.from_iterable(CLIENTS), DIRECT)
}

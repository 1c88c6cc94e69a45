"""``python -m tests.conformance PORT``: see docs/development.md."""

import argparse
from typing import Any, cast

from twisted.internet import reactor as global_reactor
from twisted.web.server import Site

from portofcall.limits.values import Limits
from portofcall.relay.readiness import Readiness
from tests.conformance.echo import EchoFactory, EchoResource, FastEchoFactory

#: The Autobahn TestSuite sends a message of 4 MiB in frames of 64 bytes; the gateway's default would fail it.
_MAX_FRAGMENTS = 1 << 17


def main() -> None:
    """Run the server until it is stopped."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description="A WebSocket echo server for conformance tests, made of the gateway's own parts.",
    )
    parser.add_argument("port", type=int, help="a port of 127.0.0.1 to listen on; 0 for a free one")
    parser.add_argument(
        "--fast", action="store_true", help="parse plain messages with the fast parser, as the gateway does"
    )
    arguments = parser.parse_args()
    reactor = cast(Any, global_reactor)
    factory = (FastEchoFactory if arguments.fast else EchoFactory)(
        limits=Limits(max_fragments=_MAX_FRAGMENTS), reactor=reactor, readiness=Readiness(reactor)
    )
    port = reactor.listenTCP(arguments.port, Site(EchoResource(factory)), interface="127.0.0.1")
    print(f"listening on ws://127.0.0.1:{port.getHost().port}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()

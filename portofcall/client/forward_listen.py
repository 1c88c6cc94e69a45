"""Opens the local listeners of a rule."""

import errno
import os
from typing import Any, Final

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from portofcall.client.forward_rules import Bind, Rule
from portofcall.client.problem import Problem, Status
from portofcall.errors import printable

#: This machine has no IPv6, or no such address.
_NO_ADDRESS: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
#: How many connections wait in the kernel; more have to try again, which takes them a second.
_BACKLOG: Final = 1024
#: Only its owner connects to a UNIX socket.
_MODE: Final = 0o600


async def listen(reactor: Any, rule: Rule, factory: IProtocolFactory) -> list[IListeningPort]:
    """Listen on every address of a rule.

    On loopback that is 127.0.0.1 and, if this machine has it, ::1; on all addresses one socket for both
    families, or of IPv4 alone. A UNIX socket is for its owner only; one that nobody listens on is replaced.

    Raises:
        Problem: it is not possible; the sentence names the address.
    """
    if rule.path:
        return [
            await _listen(
                rule, UNIXServerEndpoint(reactor, rule.path, backlog=_BACKLOG, mode=_MODE, wantPID=1), factory
            )
        ]
    if rule.bind is Bind.ALL:
        try:
            return [await _listen(rule, TCP6ServerEndpoint(reactor, rule.port, _BACKLOG, "::"), factory)]
        except _NoAddress:
            return [await _listen(rule, TCP4ServerEndpoint(reactor, rule.port, _BACKLOG), factory)]
    if rule.bind is Bind.LOOPBACK:
        first = await _listen(rule, TCP4ServerEndpoint(reactor, rule.port, _BACKLOG, "127.0.0.1"), factory)
        port = rule.port or first.getHost().port  # type: ignore[attr-defined]
        try:
            return [first, await _listen(rule, TCP6ServerEndpoint(reactor, port, _BACKLOG, "::1"), factory)]
        except _NoAddress:
            return [first]
        except Problem:
            await stop(first)
            raise
    kind = TCP6ServerEndpoint if ":" in rule.bind else TCP4ServerEndpoint
    return [await _listen(rule, kind(reactor, rule.port, _BACKLOG, rule.bind), factory)]


async def stop(port: IListeningPort) -> None:
    """Stop listening."""
    await maybeDeferred(port.stopListening)


async def _listen(rule: Rule, endpoint: Any, factory: IProtocolFactory) -> IListeningPort:
    # Twisted sets the mode of a UNIX socket only once others could have connected.
    before = os.umask(0o177) if rule.path else None
    try:
        listening = maybeDeferred(endpoint.listen, factory)
    finally:
        if before is not None:
            os.umask(before)
    try:
        port: IListeningPort = await listening
    except CannotListenError as error:
        cause = error.socketError
        reason = printable(getattr(cause, "strerror", None) or str(cause))
        kind = _NoAddress if getattr(cause, "errno", None) in _NO_ADDRESS else Problem
        raise kind("cannot-listen", f"can't listen on {rule}: {reason}", Status.USAGE) from None
    return port


class _NoAddress(Problem):
    """This machine has no such address."""

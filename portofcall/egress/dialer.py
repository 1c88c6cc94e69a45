"""Resolve once, judge every address, connect to a judged one. Every connection to a target is made here."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.internet import error
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IProtocol

from portofcall.egress.connector import MAX_ATTEMPTS, Dialed, Race
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.loop_guard import LoopGuard
from portofcall.egress.policy import Policy, Undecided
from portofcall.egress.resolver import Resolver, interleave
from portofcall.errors import Blocked, ConnectTimedOut, NameNotFound, NameTimedOut, Refused, Unreachable
from portofcall.limits.admission import Admission
from portofcall.limits.values import Limits
from portofcall.target import Address, Target, destination

P = TypeVar("P", bound=IProtocol)


class Dialer:
    """The only opener of TCP connections.

    Args:
        reactor: opens the connections and keeps the time limits.
        resolver: resolves names; called at most once per dial.
        policy: judges each address; may be replaced while running, for later dials.
        admission: counts the connections to each target.
        loop_guard: the gateway's own listeners, which are never dialled.
        local_networks: returns this machine's networks, which are not ``public``.
        limits: the time limits.
        monotonic: a clock in seconds that never jumps, for ``rtt_ms``.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        resolver: Resolver,
        policy: Policy,
        admission: Admission,
        loop_guard: LoopGuard,
        local_networks: Callable[[], LocalNetworks],
        limits: Limits,
        monotonic: Callable[[], float],
    ) -> None:
        self.policy = policy
        self._reactor = reactor
        self._resolver = resolver
        self._admission = admission
        self._loop_guard = loop_guard
        self._local_networks = local_networks
        self._limits = limits
        self._monotonic = monotonic

    async def dial(
        self,
        target: Target,
        build: Callable[[], P],
        *,
        client: str,
        timeout_seconds: float | None = None,
    ) -> Dialed[P]:
        """Open a connection to ``target``. Cancelling gives the attempt up.

        Args:
            target: the host and port.
            build: makes the protocol, once a connection is open.
            client: the client's key, as counted.
            timeout_seconds: for look-up and connection each; None means the time limits of ``limits``.

        Returns:
            The open connection.

        Raises:
            Blocked: the policy refuses the target, or one of its addresses.
            TargetBusy: each address of it has too many connections, or gets new ones too fast.
            NameNotFound: the name has no address.
            NameTimedOut: the look-up took longer than its limit.
            Refused: the target refused the connection.
            ConnectTimedOut: the target did not answer within the time limit.
            Unreachable: the network or the operating system rejected the connection.
        """
        addresses = await self._judged_addresses(target, client, timeout_seconds)
        seconds = timeout_seconds or self._limits.connect_timeout_seconds
        race = Race(
            self._reactor,
            judged=frozenset(addresses),
            port=target.port,
            enter=lambda address: self._admission.enter_target(
                str(Target(str(address), target.port)), client=client
            ),
            build=build,
            monotonic=self._monotonic,
        )
        connecting = Deferred.fromCoroutine(race.run(addresses[:MAX_ATTEMPTS]))
        try:
            return await connecting.addTimeout(seconds, self._reactor)
        except error.ConnectionRefusedError:
            raise Refused(f"{target} refused the connection") from None
        except (error.TimeoutError, error.TCPTimedOutError, TimeoutError):
            raise ConnectTimedOut(f"{target} did not answer within {seconds:g} s") from None
        except error.ConnectError as problem:
            detail = problem.osError if problem.osError else problem.__doc__
            raise Unreachable(f"{target} can't be reached ({detail})") from None

    async def _judged_addresses(
        self, target: Target, client: str, timeout_seconds: float | None
    ) -> Sequence[Address]:
        verdict = self.policy.judge(target, self._local_networks())
        addresses: Sequence[Address] = () if target.address is None else (target.address,)
        if isinstance(verdict, Undecided):
            addresses = await self._resolve(target, client, timeout_seconds)
            verdict = verdict.resolved_to(addresses)
        if not verdict.allowed:
            raise Blocked(verdict.reason)
        # Counted, compared with our own listeners and dialled under one spelling.
        addresses = list(dict.fromkeys(map(destination, addresses)))
        if any(self._loop_guard.include(address, target.port) for address in addresses):
            raise Blocked(f"{target} is this gateway itself")
        return addresses

    async def _resolve(self, target: Target, client: str, timeout_seconds: float | None) -> Sequence[Address]:
        limit = self._limits.dns_timeout_seconds
        seconds = min(limit, timeout_seconds or limit)
        try:
            answer = self._resolver.resolve(target.host, client=client)
            addresses = interleave(await answer.addTimeout(seconds, self._reactor))
        except TimeoutError:
            raise NameTimedOut(f"{target.host} was not resolved within {seconds:g} s") from None
        except (OSError, UnicodeError):
            raise NameNotFound(f"{target.host} has no address") from None
        if not addresses:
            raise NameNotFound(f"{target.host} has no address")
        return addresses

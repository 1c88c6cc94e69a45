"""The files of the command line that SIGHUP reads again."""

import datetime
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from typing import Any

from portofcall.access.password_file import PasswordFile
from portofcall.access.ticket_key import TicketKey
from portofcall.egress.named_target import Targets
from portofcall.egress.policy import Policy
from portofcall.egress.policy_file import PolicyFileError
from portofcall.errors import printable
from portofcall.gateway import Gateway
from portofcall.service.options import Options
from portofcall.service.reload import Reloadable
from portofcall.service.tls import Contexts, ServerTLS


def reloadables(options: Options, gateway: Gateway, tls: ServerTLS | None) -> Iterator[Reloadable[Any]]:
    """Yield what the options read from files.

    Args:
        options: parsed.
        gateway: uses what was read.
        tls: uses certificates; None without a tls+ endpoint.
    """
    if options["policy"] is not None:
        yield _policy(options, gateway)
    if options.targets is not None:
        yield _targets(options, gateway)
    checkers = (*options["credCheckers"], *options["admin-auth"])
    password_files = [checker for checker in checkers if isinstance(checker, PasswordFile)]
    if password_files:
        yield _passwords(password_files)
    if options["ticket-key"] is not None:
        yield _ticket_key(options, gateway)
    if tls is not None:
        yield _tls(options, tls)


def _policy(options: Options, gateway: Gateway) -> Reloadable[Policy]:
    def read() -> Policy:
        try:
            return options.read_policy()
        except PolicyFileError as problem:
            raise PolicyFileError(f"{printable(str(options['policy']))}: {problem}") from None

    def use(policy: Policy) -> str:
        gateway.policy = policy
        _recheck(options, gateway)
        return f"{count(policy.allow, 'allow rule')}, {count(policy.deny, 'deny rule')}"

    return Reloadable(name="policy", read=read, use=use)


def _targets(options: Options, gateway: Gateway) -> Reloadable[Targets]:
    def use(targets: Targets) -> str:
        gateway.targets = targets
        _recheck(options, gateway)
        tokens = f", {count(targets.by_token, 'token')}" if targets.by_token else ""
        return count(targets.by_name, "target") + tokens

    return Reloadable(name="target list", read=lambda: options.read_targets() or Targets(), use=use)


def _recheck(options: Options, gateway: Gateway) -> None:
    if options["recheck-open-tunnels"]:
        gateway.recheck()


def _passwords(files: Sequence[PasswordFile]) -> Reloadable[Sequence[Mapping[bytes, bytes]]]:
    def use(read: Sequence[Mapping[bytes, bytes]]) -> str:
        for file, passwords in zip(files, read, strict=True):
            file.passwords = passwords
        return count([user for passwords in read for user in passwords], "user")

    return Reloadable(name="password list", read=lambda: [file.read() for file in files], use=use)


def _ticket_key(options: Options, gateway: Gateway) -> Reloadable[TicketKey]:
    def use(key: TicketKey) -> str:
        gateway.credentials = replace(gateway.credentials, ticket_key=key)
        return key.algorithm

    return Reloadable(name="ticket key", read=options.read_ticket_key, use=use)


def _tls(options: Options, tls: ServerTLS) -> Reloadable[Contexts]:
    def use(contexts: Contexts) -> str:
        tls.use(contexts)
        warnings = contexts.material.warnings(datetime.datetime.now(datetime.UTC))
        return "; ".join([contexts.material.summary, *warnings])

    return Reloadable(name="TLS configuration", read=options.read_tls, use=use)


def count(things: Sized, noun: str) -> str:
    """Write how many things there are: ``1 rule``, ``2 rules``."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"

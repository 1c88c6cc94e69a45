"""One line for the log that says what came of the options."""

from collections.abc import Sequence
from typing import Final

from portofcall.egress.rules import Rule
from portofcall.errors import printable
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits
from portofcall.service.endpoint import has_own_tls
from portofcall.service.listener import Listener
from portofcall.service.options import Options

#: So many rules of a kind are shown; of more, their number.
_MOST_RULES: Final = 3


def start_line(
    options: Options,
    gateway: Gateway,
    listeners: Sequence[Listener],
    *,
    limits: Limits,
    descriptors: int | None,
    admin: Listener | None = None,
) -> str:
    """Describe a gateway that has started: endpoints, authentication, policy, and how many tunnels fit.

    Args:
        options: parsed.
        gateway: as it is now.
        listeners: of the options, started; one that takes its time is shown as the operator wrote it.
        limits: the gateway's.
        descriptors: how many the process may have; None means no limit.
        admin: the operator's listener, if there is one.
    """
    most = limits.max_tunnels
    return "started: " + "; ".join(
        [
            ", ".join(
                listener.url or text for text, listener in zip(options["listen"], listeners, strict=True)
            ),
            *([] if admin is None else [f"admin on {admin.url or options['admin']}"]),
            _authentication(options),
            _egress(gateway),
            f"{f'at most {most}' if most else 'any number of'} tunnels"
            + ("" if descriptors is None else f", with {descriptors} file descriptors"),
        ]
    )


def _authentication(options: Options) -> str:
    credentials = options.credentials
    ways = ["passwords"] if credentials.checkers else []
    if credentials.ticket_key is not None:
        ways.append("tickets")
    means = [" or ".join(ways)] if ways else []
    if options["tls-client-ca"] is not None:
        encrypted = all(has_own_tls(text) for text in options["listen"])
        means.append(f"client certificates{'' if encrypted else ' on tls+ listeners'}")
    return f"authentication: {' and '.join(means)}" if means else "no authentication"


def _egress(gateway: Gateway) -> str:
    policy, targets = gateway.policy, gateway.targets
    parts = [_rules("allow", policy.allow), _rules("deny", policy.deny)]
    kinds = {"named target": len(targets.by_name), "token": len(targets.by_token)}
    known = " and ".join(f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in kinds.items() if n)
    if known:
        parts.append(known if policy.allow else f"{known} only")
    return ", ".join(part for part in parts if part)


def _rules(verb: str, rules: Sequence[Rule]) -> str:
    if len(rules) > _MOST_RULES:
        return f"{verb} {len(rules)} rules"
    return f"{verb} {' '.join(printable(rule.text) for rule in rules)}" if rules else ""

"""A file of rules, one per line, parsed into a policy."""

import re
from collections.abc import Iterable
from pathlib import Path

from portofcall.egress.line_file import numbered_lines, read_text
from portofcall.egress.policy import DEFAULT_ALLOW, Policy
from portofcall.egress.rules import Effect, Rule, RuleError, parse_rule
from portofcall.errors import printable

_LINE = re.compile(r"(?P<effect>allow|deny)[ \t]+(?P<rule>\S+)")


class PolicyFileError(ValueError):
    """A policy file is not valid. The message is one line, with the number of the wrong one."""


def parse_policy_file(
    text: str, *, allow: Iterable[str] = (), deny: Iterable[str] = (), default: Iterable[str] = DEFAULT_ALLOW
) -> Policy:
    """Parse a policy file.

    Each line is ``allow RULE`` or ``deny RULE``, see `portofcall.egress.rules`; ``#`` begins a comment, at
    the start of a line or after white space. The order of the lines means nothing: deny wins over allow.

    Args:
        text: the file.
        allow: additional rules that allow.
        deny: additional rules that deny.
        default: the rules that allow if neither the file nor ``allow`` has one, as everywhere: a file that
            only denies is a list of exceptions.

    Raises:
        PolicyFileError: a line is not a rule, or there are too many lines, or no rule at all: such a file is
            seldom meant, and often half written.
        RuleError: an additional rule is not valid.
    """
    rules = {
        Effect.ALLOW: [parse_rule(rule, Effect.ALLOW) for rule in allow],
        Effect.DENY: [parse_rule(rule, Effect.DENY) for rule in deny],
    }
    lines = numbered_lines(text, PolicyFileError)
    for number, line in lines:
        effect, rule = _parse_line(number, line)
        rules[effect].append(rule)
    if not lines:
        raise PolicyFileError("expected at least one rule")
    return Policy.of(allow=rules[Effect.ALLOW], deny=rules[Effect.DENY], default=default)


def _parse_line(number: int, line: str) -> tuple[Effect, Rule]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise PolicyFileError(f"line {number}: expected allow RULE or deny RULE, got '{printable(line)}'")
    effect = Effect(match["effect"])
    try:
        return effect, parse_rule(match["rule"], effect)
    except RuleError as error:
        raise PolicyFileError(f"line {number}: {error}") from None


def read_policy(
    path: Path | None,
    *,
    allow: Iterable[str] = (),
    deny: Iterable[str] = (),
    default: Iterable[str] = DEFAULT_ALLOW,
) -> Policy:
    """Read the policy that ``--policy``, ``--allow`` and ``--deny`` make: at the start, and at each reload.

    Args:
        path: a regular file in UTF-8. A pipe could be read only once; reading it again would block for ever.
            None means no file: the policy is that of the other rules.
        allow: additional rules that allow.
        deny: additional rules that deny.
        default: the rules that allow if there are no others.

    Raises:
        PolicyFileError: the file can't be read or is not valid.
        RuleError: an additional rule is not valid.
    """
    if path is None:
        return Policy.parse(allow=allow, deny=deny, default=default)
    text = read_text(path, PolicyFileError)
    return parse_policy_file(text, allow=allow, deny=deny, default=default)

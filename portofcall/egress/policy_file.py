"""A file of rules, one per line, parsed into a policy."""

import re
import stat
from collections.abc import Iterable
from pathlib import Path

from portofcall.egress.policy import Policy
from portofcall.egress.rules import Effect, Rule, RuleError, parse_rule
from portofcall.errors import printable

#: Larger files are refused before any work is done on them.
MAX_FILE_CHARACTERS = 1 << 20
#: Every dial walks over all rules, so more of them would slow every dial.
MAX_FILE_LINES = 10_000

_LINE = re.compile(r"(?P<effect>allow|deny)[ \t]+(?P<rule>\S+)")
_COMMENT = re.compile(r"(?:^|[ \t])#.*$")


class PolicyFileError(ValueError):
    """A policy file is not valid. The message is one line, with the number of the wrong one."""


def parse_policy_file(text: str, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> Policy:
    """Parse a policy file.

    Each line is ``allow RULE`` or ``deny RULE``, see `portofcall.egress.rules`; ``#`` begins a comment, at
    the start of a line or after white space. The order of the lines means nothing: deny wins over allow.

    Args:
        text: the file.
        allow: additional rules that allow.
        deny: additional rules that deny.

    Returns:
        The policy. If neither the file nor ``allow`` has a rule that allows, it is ``public``, as everywhere:
        a file that only denies is a list of exceptions.

    Raises:
        PolicyFileError: a line is not a rule, or there are too many lines, or no rule at all: such a file is
            seldom meant, and often half written.
        RuleError: an additional rule is not valid.
    """
    rules = {
        Effect.ALLOW: [parse_rule(rule, Effect.ALLOW) for rule in allow],
        Effect.DENY: [parse_rule(rule, Effect.DENY) for rule in deny],
    }
    lines = _lines(text)
    for number, line in lines:
        effect, rule = _parse_line(number, line)
        rules[effect].append(rule)
    if not lines:
        raise PolicyFileError("expected at least one rule")
    return Policy.of(allow=rules[Effect.ALLOW], deny=rules[Effect.DENY])


def _lines(text: str) -> list[tuple[int, str]]:
    """Number the lines, and return those that have more than comments."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise PolicyFileError(f"expected at most {MAX_FILE_CHARACTERS} characters, got {len(text)}")
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > MAX_FILE_LINES:
        raise PolicyFileError(
            f"line {MAX_FILE_LINES + 1}: expected at most {MAX_FILE_LINES} lines, got {len(lines)}"
        )
    bare = (_COMMENT.sub("", line.removesuffix("\r")).strip(" \t") for line in lines)
    return [(number, line) for number, line in enumerate(bare, start=1) if line]


def _parse_line(number: int, line: str) -> tuple[Effect, Rule]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise PolicyFileError(f"line {number}: expected allow RULE or deny RULE, got '{printable(line)}'")
    effect = Effect(match["effect"])
    try:
        return effect, parse_rule(match["rule"], effect)
    except RuleError as error:
        raise PolicyFileError(f"line {number}: {error}") from None


def read_policy(path: Path | None, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> Policy:
    """Read the policy that ``--policy``, ``--allow`` and ``--deny`` make: at the start, and at each reload.

    Args:
        path: a regular file in UTF-8. A pipe could be read only once; reading it again would block for ever.
            None means no file: the policy is that of the other rules.
        allow: additional rules that allow.
        deny: additional rules that deny.

    Raises:
        PolicyFileError: the file can't be read or is not valid.
        RuleError: an additional rule is not valid.
    """
    if path is None:
        return Policy.parse(allow=allow, deny=deny)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PolicyFileError("expected a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_CHARACTERS + 1)
        if len(content) > MAX_FILE_CHARACTERS:
            raise PolicyFileError(f"expected at most {MAX_FILE_CHARACTERS} bytes")
        text = content.decode("utf-8")
    except OSError as error:
        raise PolicyFileError(f"expected a readable file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise PolicyFileError("expected a file in UTF-8") from None
    return parse_policy_file(text, allow=allow, deny=deny)

"""A file of rules, one a line, as text turned into a policy."""

import re
import stat
from collections.abc import Iterable
from pathlib import Path

from portofcall.egress.policy import Policy
from portofcall.egress.rules import Effect, RuleError, parse_rule
from portofcall.errors import printable

#: Larger files are refused before any work is done on them.
MAX_FILE_CHARACTERS = 1 << 20
#: Each rule is looked at for each target, so that a file of more would slow every dial.
MAX_FILE_LINES = 10_000

_LINE = re.compile(r"(?P<effect>allow|deny)[ \t]+(?P<rule>\S+)")
_COMMENT = re.compile(r"(?:^|[ \t])#.*$")


class PolicyFileError(ValueError):
    """A policy file can't be read. The message is one line, with the number of the line that is wrong."""


def parse_policy_file(text: str, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> Policy:
    """Read a policy file.

    Each line is ``allow RULE`` or ``deny RULE``, see `portofcall.egress.rules`; ``#`` begins a comment, at
    the start of a line or after white space. The order of the lines means nothing: deny wins over allow.

    Args:
        text: the file.
        allow: rules from elsewhere that allow besides.
        deny: rules from elsewhere that deny besides.

    Returns:
        The policy. If nothing allows, neither here nor there, it is ``public``, as everywhere: a file that
        only denies is a list of exceptions from that.

    Raises:
        PolicyFileError: a line is no rule, or there are too many, or no rule at all: such a file is seldom
            meant, and often half written.
        RuleError: a rule from elsewhere is none.
    """
    if len(text) > MAX_FILE_CHARACTERS:
        raise PolicyFileError(f"expected at most {MAX_FILE_CHARACTERS} characters, got {len(text)}")
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > MAX_FILE_LINES:
        raise PolicyFileError(
            f"line {MAX_FILE_LINES + 1}: expected at most {MAX_FILE_LINES} lines, got {len(lines)}"
        )
    rules: dict[str, list[str]] = {"allow": [], "deny": []}
    for number, line in enumerate(lines, start=1):
        content = _COMMENT.sub("", line.removesuffix("\r")).strip(" \t")
        if not content:
            continue
        match = _LINE.fullmatch(content)
        if match is None:
            raise PolicyFileError(
                f"line {number}: expected allow RULE or deny RULE, got '{printable(content)}'"
            )
        try:
            parse_rule(match["rule"], Effect(match["effect"]))
        except RuleError as error:
            raise PolicyFileError(f"line {number}: {error}") from None
        rules[match["effect"]].append(match["rule"])
    if not rules["allow"] and not rules["deny"]:
        raise PolicyFileError("expected at least one rule")
    return Policy.parse(allow=[*allow, *rules["allow"]], deny=[*deny, *rules["deny"]])


def read_policy(path: Path, *, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> Policy:
    """Read a policy file.

    Args:
        path: a regular file in UTF-8. A pipe has its rules once only; reading it again would wait for ever.
        allow: rules that allow besides.
        deny: rules that deny besides.

    Raises:
        PolicyFileError: it can't be read; the message tells why, and the line if it is one.
    """
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

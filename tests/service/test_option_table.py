"""Parser, --help, `Limits` and docs/running.md agree on the options."""

from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from portofcall.limits.limit_warnings import LimitWarnings
from portofcall.limits.values import Limits, MiB, Rate
from portofcall.service.option import Group, Option
from portofcall.service.option_table import OPTIONS
from portofcall.service.options import Options

RUNNING = Path(__file__).parents[2] / "docs" / "running.md"
HEADING = ["| option | default | |", "| --- | --- | --- |"]


def documented() -> list[str]:
    """Write the table of docs/running.md as it should be."""
    lines = [*HEADING]
    for group, options in groupby(OPTIONS, key=lambda option: option.group):
        lines.append(f"| **{group}** | | |")
        for option in options:
            default = (
                f"`{option.shown_default}`"
                if option.shown_default not in ("", "none", "off")
                else option.shown_default
            )
            text = f"{option.help}{'; repeatable' if option.repeatable else ''}"
            lines.append(f"| `{option.synopsis}` | {default} | {text} |".replace("|  |", "| |"))
    return lines


def test_documentation_has_every_option_with_its_default() -> None:
    """The table of docs/running.md is word for word what --help shows; the message is the table to paste."""
    lines = RUNNING.read_text().splitlines()
    start = lines.index(HEADING[0])
    end = lines.index("", start)
    expected = documented()
    assert lines[start:end] == expected, "docs/running.md needs this table:\n" + "\n".join(expected)


def test_twisted_parses_every_option_and_no_other() -> None:
    """None is documented without a parser, or parsed without documentation."""
    assert set(Options().docs) == {option.name for option in OPTIONS}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_help_shows_each_option_with_its_default(option: Option) -> None:
    """Except for those that show something and exit: they have none."""
    lines = Options().getUsage(width=10_000).splitlines()
    description = lines[lines.index(f"  {option.synopsis}") + 1].strip()
    assert description.startswith(option.help)
    assert ("[default: " in description) is (option.group is not Group.GENERAL)
    assert ("repeatable" in description) is option.repeatable


@pytest.mark.parametrize("width", [40, 80])
def test_help_fits_its_width(width: int) -> None:
    """Also where a word has a hyphen."""
    assert all(len(line) <= width for line in Options().getUsage(width=width).splitlines())


def test_groups_are_in_order_and_whole() -> None:
    """Each group of --help is one section."""
    assert [group for group, _ in groupby(OPTIONS, key=lambda option: option.group)] == list(Group)


@pytest.mark.parametrize(
    ("metavar", "field", "shown"),
    [
        ("BYTES", "max_head_bytes", "16K"),
        ("BYTES", "high_water_bytes", "1M"),
        ("SECONDS", "close_stall_seconds", "30"),
        ("COUNT", "max_tunnels", "10000"),
        ("RATE", "rate_per_client", "50:200"),
    ],
)
def test_default_of_a_limit_is_computed(metavar: str, field: str, shown: str) -> None:
    """From `Limits`, with the same units that the option takes."""
    assert Option(name="x", group=Group.LIMITS, help="x", metavar=metavar, field=field).shown_default == shown


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.field], ids=lambda option: option.name
)
def test_limit_is_set_by_its_option(option: Option) -> None:
    """Each to its own field, and no other field changes."""
    values: dict[str, tuple[str, Any]] = {
        "BYTES": ("3M", 3 * MiB),
        "SECONDS": ("7.5", 7.5),
        "COUNT": ("17", 17),
        "RATE": ("3:9", Rate(3, 9)),
    }
    text, value = values[option.metavar]
    options = Options()
    options.parseOptions([f"--{option.name}", text])
    assert option.field in {field.name for field in fields(Limits)}
    assert options.limits() == replace(Limits(), **{str(option.field): value})


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.metavar in ("COUNT", "RATE")])
def test_warning_about_a_limit_names_its_option(option: Option) -> None:
    """Its line in the log is made from the field's name."""
    lines: list[str] = []
    LimitWarnings(Limits(), now=lambda: 0.0, warn=lines.append).reached(str(option.field))
    assert lines == [f"limit reached: --{option.name} {option.shown_default}"]

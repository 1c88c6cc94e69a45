"""Write the man pages: of each command of ``portofcall``, of those of twistd, of ``portofcall-websockify``.

They are made from the parsers, and from the tables of docs/client.md::

    pip install '.[docs]' && python docs/man_pages.py ~/.local/share/man/man1
    man portofcall-connect
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from argparse_manpage.manpage import Manpage

from portofcall import __version__
from portofcall.cli import make_parser
from portofcall.commands.forward_options import DESCRIPTION, add_forward_arguments
from portofcall.service.option_table import OPTIONS
from portofcall.websockify.arguments import make_parser as make_websockify_parser
from twisted.plugins import portofcall_forward_plugin, portofcall_plugin

_CLIENT_PAGE = Path(__file__).with_name("client.md")
#: Sections of docs/client.md whose tables are sections of the client's pages too.
_TABLES = ("Exit status", "Environment", "Files")


def pages() -> Mapping[str, str]:
    """Return the text of all pages, by name: ``portofcall`` and ``portofcall-connect``, for instance."""
    found: dict[str, Manpage] = {}
    parser = make_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for listed in commands._choices_actions:
        found[f"portofcall-{listed.dest}"] = _page(commands.choices[listed.dest], str(listed.help))
    top = argparse.ArgumentParser(
        prog="portofcall", description=parser.description, usage="portofcall [--help] [--version] COMMAND ..."
    )
    found["portofcall"] = _page(top, "clients of a WebSocket-to-TCP gateway, and tools for its operator")
    rows = ((f"portofcall {name} ...", str(page.description)) for name, page in _short_names(found))
    found["portofcall"].add_section("commands", "=", "\n".join(_rows(rows)))
    for plugin in (portofcall_plugin.portofcall, portofcall_forward_plugin.portofcall_forward):
        parser = _twistd_parsers()[plugin.tapname]
        found[f"twistd-{plugin.tapname}"] = _page(parser, plugin.description.rstrip("."))
    websockify = make_websockify_parser()
    websockify.usage = "portofcall-websockify [options] [source_addr:]source_port target_addr:target_port"
    found["portofcall-websockify"] = _page(websockify, "a gateway with websockify's command line")
    for name, page in found.items():
        page.prog = name
        others = sorted(set(found) - {name})
        page.add_section("see also", "=", ", ".join(f"\\fB{_escape(other)}\\fR(1)" for other in others))
    return {name: str(page) for name, page in found.items()}


def _short_names(found: Mapping[str, Manpage]) -> Iterator[tuple[str, Manpage]]:
    for name, page in found.items():
        if name.startswith("portofcall-"):
            yield name.removeprefix("portofcall-"), page


def _page(parser: argparse.ArgumentParser, description: str) -> Manpage:
    example, parser.epilog = parser.epilog, None
    page = Manpage(parser)
    page.description = description
    page.source = f"portofcall {__version__}"
    page.manual = "Port of Call"
    # In this form nothing needs to be escaped, which mandoc would not take for a date.
    page.date = f"{date.fromisoformat(page.date):%B %d, %Y}"
    page.synopsis[1:] = [_escape(word) for word in page.synopsis[1:]]
    if example:
        page.add_section("examples", "=", f".nf\n{_escape(example.strip())}\n.fi")
    if any(action.dest == "gateway" for action in parser._actions):
        for heading in _TABLES:
            page.add_section(heading.lower(), "=", "\n".join(_rows(_table(heading))))
    return page


def _twistd_parsers() -> Mapping[str, argparse.ArgumentParser]:
    gateway = argparse.ArgumentParser(
        prog="twistd portofcall",
        usage="twistd [OPTIONS] portofcall [OPTIONS]",
        description="Run a gateway. docs/running.md describes it, and twistd(1) twistd's own options.",
        add_help=False,
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in OPTIONS:
        group = groups.get(option.group) or gateway.add_argument_group(option.group)
        groups[option.group] = group
        help = option.description.replace("%", "%%")
        if option.metavar:
            group.add_argument(f"--{option.name}", metavar=option.metavar, help=help)
        else:
            group.add_argument(f"--{option.name}", action="store_true", help=help)
    forward = argparse.ArgumentParser(
        prog="twistd portofcall-forward",
        usage="twistd [OPTIONS] portofcall-forward [OPTIONS] GATEWAY",
        description=DESCRIPTION,
    )
    add_forward_arguments(forward)
    return {"portofcall": gateway, "portofcall-forward": forward}


def _table(heading: str) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table below a heading of docs/client.md."""
    text = _CLIENT_PAGE.read_text("utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    for name, meaning in re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE):
        if meaning.strip("- "):
            yield name, meaning


def _rows(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    for name, meaning in rows:
        yield f".TP\n\\fB{_escape(_plain(name))}\\fR\n{_escape(_plain(meaning))}"


def _plain(markdown: str) -> str:
    """Leave the links and the quotes of Markdown out."""
    return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", markdown).replace("`", "")


def _escape(text: str) -> str:
    """Return text that roff prints as it is."""
    return re.sub(r"^(?=[.'])", r"\\&", text.replace("\\", r"\e").replace("-", r"\-"), flags=re.MULTILINE)


def main() -> None:
    """Write the pages into the directory that the command line names."""
    parser = argparse.ArgumentParser(description="Write the man pages of Port of Call.")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to, such as /usr/share/man/man1")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / f"{name}.1").write_text(text, "utf-8")
        sys.stdout.write(f"{folder / name}.1\n")


if __name__ == "__main__":
    main()

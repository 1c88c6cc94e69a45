"""What the documentation shows works."""

import ast
import io
import re
import shlex
import shutil
from argparse import _SubParsersAction
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IService
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

import portofcall
import portofcall.client
import portofcall.events
import portofcall.testing
from portofcall.cli import make_parser
from portofcall.client import Status
from portofcall.client.config import KEYS
from portofcall.testing import PUBLIC, FakeTransport, Response, World
from portofcall.websockify.arguments import parse as parse_websockify
from tests.service.support import parse
from tests.support import python_blocks

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README = (ROOT / "README.md").read_text("utf-8")


def get(factory: Any, path: str) -> Response:
    """Make a request to a factory that listens in memory."""
    connection = FakeTransport()
    connection.protocol = factory.buildProtocol(connection.getPeer())
    connection.protocol.makeConnection(connection)
    connection.send(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    return Response(connection.take())


def test_embedding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    """Each block of docs/embedding.md runs after those before it, and what it serves is there."""
    reactor = MemoryReactorClock()
    monkeypatch.setattr("twisted.internet.reactor", reactor, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("passwords").write_text("ada:lovelace\n")
    Path("key").write_text("k" * 32)
    shutil.copy(certificate, "server.pem")
    shutil.copy(certificate, "clients-ca.pem")
    shown: dict[str, Any] = {}
    for block in python_blocks("docs/embedding.md"):
        exec(block, shown)
    (_, site, *_), (_, existing_site, *_) = reactor.tcpServers
    assert [port for port, *_ in reactor.tcpServers] == [8080, 8081]
    assert [port for port, *_ in reactor.sslServers] == [8443]
    assert get(site, "/api/connect").status == 426
    assert get(existing_site, "/gateway/api/connect").status == 426
    assert get(existing_site, "/tunnel").status == 426
    assert get(reactor.sslServers[0][1], "/api/connect?host=a&port=1").status == 426
    service = IService(shown["application"])
    service.startService()
    assert reactor.tcpServers[2][0] == 8082
    assert get(reactor.tcpServers[2][1], "/api/connect").status == 426
    stopped: list[Any] = []
    service.stopService().addCallback(stopped.append)
    assert stopped


def test_readme_embeds_with_a_site_of_its_own() -> None:
    """The README's lines serve a tunnel at the place that they name."""
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    shown: dict[str, Any] = {"reactor": MemoryReactorClock(), "root": Resource()}
    for block in python_blocks("README.md"):
        exec(block, shown)
    assert get(Site(shown["root"]), "/tunnel").status == 426


def test_protocol_s_client_ends_its_request_with_eof(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of docs/protocol.md sends eof, and takes the response to the gateway's eof for complete."""
    world = World(names={"example.com": [PUBLIC]})
    monkeypatch.setattr("twisted.internet.reactor", world.reactor, raising=False)
    (block,) = python_blocks("docs/protocol.md")
    exec(block, {})
    ((_, _, factory, *_),) = world.reactor.tcpClients
    client, gateway = FakeTransport(), world.connect()
    client.protocol = factory.buildProtocol(client.getPeer())
    client.protocol.makeConnection(client)

    def carry() -> None:
        for _ in range(3):
            gateway.send(client.take())
            world.reactor.advance(0)
            client.send(gateway.take())

    carry()
    backend = world.accept()
    carry()
    assert backend.take() == b"GET / HTTP/1.0\r\n\r\n"
    assert backend.log[-1] == "fin"
    backend.protocol.dataReceived(b"HTTP/1.0 200 OK\r\n\r\nhello")
    backend.protocol.readConnectionLost()
    carry()
    assert world.reactor.hasRun
    client.protocol.connectionLost(Failure(ConnectionDone()))
    assert capsys.readouterr().out == "HTTP/1.0 200 OK\r\n\r\nhello complete\n"


@pytest.mark.parametrize(
    "document", ["README.md", "docs/embedding.md", "docs/client.md", "docs/forwarding.md"]
)
def test_only_public_names_are_shown(document: str) -> None:
    """An application that follows the documentation depends on stable names only."""
    public = {f"portofcall.{name}" for name in portofcall.__all__}
    for module in (portofcall.client, portofcall.events, portofcall.testing):
        public |= {f"{module.__name__}.{name}" for name in module.__all__}
    shown = {
        f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for block in python_blocks(document)
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    used = {name for name in shown if name.startswith("portofcall")}
    assert used
    assert used <= public


CLIENT = (ROOT / "docs" / "client.md").read_text("utf-8")
FORWARDING = (ROOT / "docs" / "forwarding.md").read_text("utf-8")


def options_of(command: str) -> set[str]:
    """Return the options of a command, other than its help."""
    subparsers = next(a for a in make_parser([command])._actions if isinstance(a, _SubParsersAction))
    actions = subparsers.choices[command]._actions
    return {option for action in actions for option in action.option_strings} - {"-h", "--help"}


def test_every_option_of_the_client_is_documented_and_no_other() -> None:
    """Those of `forward` alone are on a page of their own."""
    common = options_of("connect") | options_of("ping") | options_of("banner") | options_of("ssh-config")
    shown = set(re.findall(r"`(-[a-zA-Z]|--[a-z-]+)(?=[` ])", CLIENT)) - {"-vv"}
    assert shown == common
    table = re.findall(r"^\| (`-.*?`) \|", FORWARDING, re.MULTILINE)
    rows = set(re.findall(r"`(-[a-zA-Z]|--[a-z-]+)(?=[` ])", " ".join(table)))
    assert rows == options_of("forward") - common


def test_exit_statuses_and_keys_of_the_configuration_are_those_of_the_client() -> None:
    """Each of them, and no other."""
    statuses = {int(number) for number in re.findall(r"^\| (\d+) \|", CLIENT, re.MULTILINE)}
    assert statuses == set(Status)
    keys = re.search(r"The keys are `url` and the options ([^;]*);", CLIENT)
    assert keys
    assert {"url", *re.findall(r"`(\w+)`", keys[1])} == set(KEYS)


def test_every_slug_of_the_client_is_documented() -> None:
    """They are for programs, which have no other list; what an application did itself has none either."""
    slugs: set[str] = set()
    for path in (ROOT / "portofcall" / "client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                slugs |= {str(slug.value) for slug in node.args[:1] if isinstance(slug, ast.Constant)}
    assert "gateway-lost" in slugs
    own = {"aborted", "no-protocol", "stdout-closed", "stopped"}
    assert slugs - own <= set(re.findall(r"`([a-z-]+)`", CLIENT))


def commands_of(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each `portofcall` in a line for the shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    for ends, command in groupby(words, key=lambda word: set(word) <= set(";|&()")):
        name, *arguments = command
        if name == "portofcall" and not ends:
            yield arguments
    yield from (shlex.split(word)[1:] for word in words if word.startswith("ProxyCommand=portofcall "))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_that_are_shown_are_valid(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`portofcall` accepts each of its command lines."""
    monkeypatch.setattr("sys.stderr", io.StringIO())
    for line in re.findall(r"^\$ (.*)$", (ROOT / document).read_text("utf-8"), re.MULTILINE):
        for arguments in commands_of(line):
            make_parser(arguments).parse_args(arguments)


def shell_commands(document: str) -> Iterator[list[str]]:
    """Yield the words of each command in the blocks for the shell."""
    for block in re.findall(
        r"^```sh\n(.*?)^```", (ROOT / document).read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        for line in block.replace("\\\n", "").splitlines():
            yield shlex.split(line, comments=True)


@pytest.mark.parametrize("document", ["docs/coming-from.md", "docs/novnc.md"])
def test_commands_for_those_who_change_are_valid(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of our three programs accepts its command lines; the files that they name are there."""
    monkeypatch.chdir(tmp_path)
    Path("tokens").write_text("c8ZWqO3Kp0eGkZ2d: 127.0.0.1:5901\n")
    web = tmp_path / "novnc"
    web.mkdir()
    known: dict[str, Callable[[list[str]], object]] = {
        "twistd": lambda words: parse(*words[words.index("portofcall") + 1 :]),
        "portofcall": lambda words: make_parser(words).parse_args(words),
        "portofcall-websockify": parse_websockify,
    }
    accepted = 0
    for program, *words in shell_commands(document):
        if program in known:
            known[program]([word.replace("/usr/share/novnc", str(web)) for word in words])
            accepted += 1
    assert accepted >= 4


def test_readme_has_the_two_commands() -> None:
    """Word for word: they are the first thing to try, and CI runs them."""
    assert "\npip install . && twistd -n portofcall --demo\n" in README
    assert "\npip install -e '.[test]' && pytest\n" in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link names a file that exists, and a heading in it where it names one."""
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / document).read_text("utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, link


def test_index_has_every_page() -> None:
    """docs/index.md links to each page of the documentation."""
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == pages

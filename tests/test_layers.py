"""The rules of the layout: which package may import which, and which modules are pure."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "portofcall"
#: Dotted names below the package: ``relay.tunnel``, and ``relay`` for its ``__init__.py``.
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py" or path.parent != PACKAGE
)

#: The imports of each package or top-level module, in addition to its own and ``__version__``.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "twisted_internals": set(),
    "twisted_tls": {"twisted_internals"},
    "events": set(),
    "target": {"errors"},
    "limits": {"errors"},
    "descriptor_limit": {"limits"},
    "tls_client": {"target", "twisted_tls"},
    "egress": {"errors", "events", "limits", "target", "tls_client", "twisted_internals"},
    "access": {"errors", "events", "limits", "target"},
    "relay": {"errors", "events", "limits", "twisted_internals", "twisted_tls"},
    "websocket": {"errors", "limits", "relay"},
    "log": {"errors", "events", "limits"},
    "session": {"access", "egress", "errors", "events", "limits", "relay", "target"},
    "sessions": {"session", "access", "egress", "errors", "events", "limits", "relay", "target"},
    "web": {
        "access",
        "egress",
        "errors",
        "events",
        "limits",
        "relay",
        "session",
        "sessions",
        "target",
        "websocket",
        "twisted_internals",
    },
    "recheck": {"egress", "errors", "relay", "session", "sessions"},
    "gateway": {
        "access",
        "egress",
        "events",
        "limits",
        "log",
        "recheck",
        "relay",
        "sessions",
        "web",
        "websocket",
    },
    "admin": {
        "access",
        "errors",
        "events",
        "gateway",
        "limits",
        "log",
        "relay",
        "sessions",
        "session",
        "target",
        "web",
    },
    "service": {
        "access",
        "admin",
        "descriptor_limit",
        "egress",
        "errors",
        "events",
        "gateway",
        "limits",
        "log",
        "relay",
        "target",
        "web",
        "websocket",
        "twisted_internals",
        "twisted_tls",
    },
    "websockify": {
        "access",
        "descriptor_limit",
        "egress",
        "errors",
        "events",
        "gateway",
        "limits",
        "log",
        "relay",
        "service",
        "sessions",
        "target",
        "twisted_internals",
        "web",
        "websocket",
    },
    "client": {"errors", "limits", "relay", "target", "tls_client", "websocket"},
    "commands": {"access", "client", "descriptor_limit", "egress", "errors", "limits", "target"},
    "cli": {"commands"},
    "testing": {"access", "egress", "gateway", "limits", "relay", "target", "websocket"},
}
#: Modules without Twisted, sockets, clocks and the environment: their results depend on their arguments.
PURE = {
    *("errors", "events", "target"),
    *(
        "egress.address_table",
        "egress.check",
        "egress.judge_again",
        "egress.line_file",
        "egress.local_networks",
    ),
    *(
        "egress.name_table",
        "egress.named_target",
        "egress.place",
        "egress.policy",
        "egress.policy_file",
        "egress.proxy_header",
        "egress.proxy_rules",
        "egress.rule_table",
        "egress.rules",
        "egress.target_file",
        "egress.token_file",
    ),
    *(
        "access.bearer",
        "access.client_address",
        "access.key_formats",
        "access.origin",
        "access.ticket",
        "access.ticket_key",
    ),
    *(module for module in MODULES if module.startswith("limits.")),
    *("client.problem", "client.gateway_url", "client.http_response", "client.opening_handshake"),
    *("client.forward_rules", "client.socks"),
    *("log.levels", "relay.states", "relay.waits", "websocket.frames", "websocket.half_close"),
    "websocket.opening_response",
}
IMPURE = {
    "twisted",
    "autobahn",
    "txaio",
    "psutil",
    "socket",
    "os",
    "time",
    "datetime",
    "random",
    "asyncio",
    "threading",
}
#: Names with which a connection could be opened.
CONNECTING = {"connectTCP", "connectSSL", "connectUNIX", "clientFromString", "TCP4ClientEndpoint"}
CONNECTING |= {"TCP6ClientEndpoint", "HostnameEndpoint", "create_connection", "Agent", "connect_ex"}


def source(module: str) -> Path:
    """Return the file of a module."""
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def nodes(module: str) -> list[ast.AST]:
    """Return all nodes of a module's syntax tree."""
    return list(ast.walk(ast.parse(source(module).read_text())))


def imports(module: str) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import of a module, wherever it stands, with the dotted name that it imports."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def own(module: str) -> set[str]:
    """Return the modules of the package that ``module`` imports."""
    found = set()
    for _, name in imports(module):
        if name.startswith("portofcall.") and name != "portofcall.__version__":
            dotted = name.removeprefix("portofcall.")
            found.add(dotted if dotted in MODULES else dotted.rpartition(".")[0])
    return found


def package(module: str) -> str:
    """Return the package or top-level module that ``module`` belongs to."""
    return module.partition(".")[0]


def test_every_package_has_its_place() -> None:
    """Each package is in `ARROWS`."""
    assert {package(module) for module in MODULES} == set(ARROWS)


def test_arrows_point_one_way() -> None:
    """There is an order in which each package comes after all that it imports."""
    placed: set[str] = set()
    while placed != set(ARROWS):
        ready = {name for name, arrows in ARROWS.items() if arrows <= placed} - placed
        assert ready, f"a cycle among {set(ARROWS) - placed}"
        placed |= ready


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_arrows(module: str) -> None:
    """No module imports from a package that has no arrow from its own."""
    home = package(module)
    assert {package(name) for name in own(module)} - {home} <= ARROWS[home]


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_do_without_the_outside(module: str) -> None:
    """They import no reactor, clock, environment or socket, and only each other."""
    assert {name.split(".")[0] for _, name in imports(module)} & IMPURE == set()
    assert {name for name in own(module) if "." in name or name in ARROWS} <= PURE


def test_only_one_package_knows_autobahn() -> None:
    """Autobahn can be replaced in one place."""
    users = {package(m) for m in MODULES for _, name in imports(m) if name.startswith("autobahn")}
    assert users == {"websocket"}


def test_only_one_module_knows_prometheus() -> None:
    """It is an extra dependency, and costs a tenth of a second at the start."""
    users = {m for m in MODULES for _, name in imports(m) if name.startswith("prometheus_client")}
    assert users == {"admin.metrics"}
    assert run("import sys, portofcall.service.maker; print('prometheus_client' in sys.modules)") == "False\n"


def test_tunnels_do_not_know_http() -> None:
    """The packages below HTTP import nothing of `twisted.web`."""
    for module in MODULES:
        if package(module) in {"relay", "websocket", "egress", "limits"}:
            assert not any(name.startswith("twisted.web") for _, name in imports(module)), module


def test_only_make_service_touches_the_global_reactor() -> None:
    """Everything else is given its reactor."""
    for module in MODULES:
        for node, name in imports(module):
            if name == "twisted.internet.reactor":
                assert module in {
                    "service.maker",
                    "commands.reactor",
                    "commands.forward_service",
                    "websockify.main",
                }
                assert node.col_offset > 0, "not at import time"


def test_only_a_dial_opens_connections() -> None:
    """Two modules name what connects, and one module uses it: everything else asks the dialer.

    A client of a gateway opens connections to gateways in a module of its own.
    """
    for module in MODULES:
        names = {node.attr for node in nodes(module) if isinstance(node, ast.Attribute)}
        names |= {node.id for node in nodes(module) if isinstance(node, ast.Name)}
        connecting = {"egress.connector", "egress.tcp_connector", "client.dial"}
        assert module in connecting or not names & CONNECTING, module
    assert [module for module in MODULES if "egress.tcp_connector" in own(module)] == ["egress.connector"]
    assert [module for module in MODULES if "egress.connector" in own(module)] == ["egress.dialer"]


def run(code: str) -> str:
    """Run ``code`` in a Python of its own, and return what it prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_the_package_loads_no_twisted() -> None:
    """Its version can be read, and its names listed, without the cost of that."""
    code = "import sys, portofcall; dir(portofcall); portofcall.__version__; print('twisted' in sys.modules)"
    assert run(code) == "False\n"


def test_importing_names_installs_no_reactor() -> None:
    """``twistd --reactor`` can still choose one after the plugin is loaded."""
    code = "import sys; from portofcall import *; import portofcall.service, portofcall.testing"
    assert run(f"{code}; print('twisted.internet.reactor' in sys.modules)") == "False\n"


def test_every_public_name_is_found() -> None:
    """A missing name is an `AttributeError`, as in any module."""
    import portofcall

    assert [name for name in portofcall.__all__ if not hasattr(portofcall, name)] == []
    assert set(portofcall.__all__) <= set(dir(portofcall))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = portofcall.Nothing


def test_modules_stay_readable() -> None:
    """One job per file, in at most 260 lines."""
    sizes = {module: len(source(module).read_text().splitlines()) for module in MODULES}
    assert {module: size for module, size in sizes.items() if size > 260} == {}


def test_test_modules_do_not_import_each_other() -> None:
    """What they share is in modules of its own, such as tests/support.py."""
    for path in TESTS.rglob("test_*.py"):
        names = re.findall(r"^\s*(?:from|import) (tests\.[\w.]+)", path.read_text(), re.MULTILINE)
        assert not [name for name in names if ".test_" in name], path


def test_the_architecture_page_is_complete() -> None:
    """docs/architecture.md has these arrows, and a row for each package and module, and no other."""
    page = (TESTS.parent / "docs" / "architecture.md").read_text("utf-8")
    arrows = re.findall(r"^(\w+) +->(?: (.*))?$", page, re.MULTILINE)
    assert {name: set(filter(None, known.split(", "))) for name, known in arrows} == ARROWS
    rows = re.findall(r"^\| \**`([^`]+)`\** \|", page, re.MULTILINE)
    expected = [
        f"{module.replace('.', '/')}{'/' if source(module).stem == '__init__' else '.py'}"
        for module in MODULES
    ]
    assert sorted(rows) == sorted(expected), "docs/architecture.md: a row for each package and module"

"""The layout's rules: which module may import what."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "portofcall"
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))

#: From the bottom up; a module imports from the layers below its own only.
LAYERS = [
    {"__init__"},
    {"errors", "limits", "interfaces", "addresses", "patience", "own"}
    | {"frames", "pongs", "busypoll", "waitingroom"},
    {"target", "chain", "resolve", "sendnow", "admission", "access", "failures"},
    {"rules", "claims", "connect", "readnow", "optiontable", "conversation"},
    {"egress", "tcp", "answers", "tickets"},
    {"tunnel", "dial", "credentials", "ticket_command", "policyfile"},
    {"entrance", "probe", "policysource", "check_command"},
    {"tunnels", "cli"},
    {"websocket"},
    {"web", "upgrade", "site"},
    {"gateway"},
    {"listen"},
    {"demo"},
    {"options"},
    {"service"},
]
PURE = ["errors", "limits", "target", "addresses", "rules", "egress"]
PURE += ["access", "waitingroom", "frames", "failures", "claims", "tickets", "admission", "policyfile"]
IMPURE = {
    "twisted",
    "autobahn",
    "txaio",
    "socket",
    "os",
    "time",
    "datetime",
    "random",
    "asyncio",
    "threading",
}


def imports(module: str) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every import of a module, wherever it stands, with the dotted name that it imports."""
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def own(module: str) -> set[str]:
    """Return the modules of the package that ``module`` imports."""
    found = set()
    for _, name in imports(module):
        parts = name.split(".")
        if parts[0] == "portofcall":
            found.add(parts[1] if parts[1] in MODULES else "__init__")
    return found


def test_every_module_has_its_layer() -> None:
    """A new module says where it stands."""
    placed = [module for layer in LAYERS for module in layer]
    assert sorted(placed) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_point_down(module: str) -> None:
    """No module imports from its own layer or from one above."""
    height = next(number for number, layer in enumerate(LAYERS) if module in layer)
    below = set().union(*LAYERS[:height])
    assert own(module) <= below


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_do_without_the_outside(module: str) -> None:
    """What can be decided without a socket knows no reactor, clock, environment or socket."""
    assert {name.split(".")[0] for _, name in imports(module)} & IMPURE == set()


def test_only_one_module_knows_autobahn() -> None:
    """Autobahn could be replaced in one file."""
    users = {module for module in MODULES for _, name in imports(module) if name.startswith("autobahn")}
    assert users == {"conversation"}


def test_tunnels_know_neither_http_nor_policy() -> None:
    """What moves bytes does not know who asked, or for where."""
    for module in ("tunnel", "chain", "tcp", "interfaces"):
        assert own(module) <= {
            "chain",
            "errors",
            "interfaces",
            "limits",
            "patience",
            "readnow",
            "sendnow",
            "tcp",
        }
        assert not any(name.startswith("twisted.web") for _, name in imports(module))


def test_only_make_service_touches_the_global_reactor() -> None:
    """Everything else is given its reactor."""
    for module in MODULES:
        for node, name in imports(module):
            if name == "twisted.internet.reactor":
                assert module == "service"
                assert node.col_offset > 0, "not at import time"


def test_only_a_dial_opens_connections() -> None:
    """One module calls what connects, one module uses that one, and whoever wants a connection asks it."""
    connecting = {"connectTCP", "connectSSL", "connectUNIX", "clientFromString", "TCP4ClientEndpoint"}
    connecting |= {"TCP6ClientEndpoint", "HostnameEndpoint", "create_connection", "Agent"}
    for module in MODULES:
        tree = ast.parse((PACKAGE / f"{module}.py").read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert module == "connect" or not names & connecting, module
    assert [module for module in MODULES if "connect" in own(module)] == ["dial"]


def test_importing_the_package_installs_no_reactor() -> None:
    """``twistd --reactor`` must still have the choice when the plugin is loaded."""
    import subprocess

    code = "import sys, portofcall.service; sys.exit('twisted.internet.reactor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_modules_stay_readable() -> None:
    """One job per file, at most about 250 lines of it."""
    for module in MODULES:
        assert len((PACKAGE / f"{module}.py").read_text().splitlines()) <= 300, module

"""The undocumented parts of Autobahn are checked at import, and named in one module."""

import ast
import builtins
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol

from portofcall.websocket import autobahn_internals, nvx

NAMED = {*autobahn_internals._METHODS, *autobahn_internals._CONSTANTS, *autobahn_internals._ATTRIBUTES}
SOURCE = Path(autobahn_internals.__file__)


def test_installed_autobahn_passes() -> None:
    """Otherwise nothing here could be imported."""
    autobahn_internals.check()
    assert nvx.MASKER is not None, "the tests are run with NVX"


class Without:
    """Autobahn's protocol without one of its names."""

    def __init__(self, missing: str) -> None:
        self._missing = missing

    def __getattr__(self, name: str) -> Any:
        found = getattr(WebSocketServerProtocol, name)
        if name == self._missing:
            raise AttributeError(name)
        if self._missing not in getattr(getattr(found, "__code__", None), "co_names", ()):
            return found
        names = tuple(used for used in found.__code__.co_names if used != self._missing)
        return SimpleNamespace(__code__=SimpleNamespace(co_names=names))


@pytest.mark.parametrize("missing", sorted(NAMED))
def test_missing_name_is_an_import_error_that_names_it_and_the_version(missing: str) -> None:
    """Whether it was a method, a constant, or an attribute that the methods set."""
    protocol: Any = Without(missing)
    with pytest.raises(ImportError) as caught:
        autobahn_internals.check(protocol)
    message = str(caught.value)
    assert missing in message
    assert version("autobahn") in message
    assert "needs autobahn >= 26.10, < 27" in message


@pytest.mark.parametrize("missing", ["portofcall.no_such_module", *nvx._NVX])
def test_missing_c_is_an_import_error_that_names_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module as well as each of its functions."""
    c_code: Any = ModuleType("nvx")
    c_code.ffi = c_code.lib = SimpleNamespace(from_buffer=None, gc=None)
    for name in nvx._NVX:
        if name != missing:
            setattr(c_code.lib, name, None)
    monkeypatch.setitem(sys.modules, "nvx", c_code)
    with pytest.raises(ImportError, match=f"Autobahn .* has no .*{missing}"):
        nvx._nvx_masker(missing if "." in missing else "nvx")


def test_every_undocumented_name_that_is_used_is_checked() -> None:
    """Whatever the adapter takes from Autobahn and is no callback of its documentation."""
    tree = ast.parse(SOURCE.read_text())
    (adapter,) = (node for node in tree.body if getattr(node, "name", "") == "AutobahnConnection")
    own = {node.name for node in ast.walk(adapter) if isinstance(node, ast.FunctionDef)}
    own |= {name for name in vars(autobahn_internals.AutobahnConnection) if not name.startswith("__")}
    used = {
        node.attr
        for node in ast.walk(adapter)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name | ast.Call)
        and ast.unparse(node.value) in {"self", "super()", "WebSocketProtocol"}
    }
    inherited = {name for name in own if hasattr(WebSocketServerProtocol, name)}
    documented = {"onOpen", "connectionMade", "connectionLost", "transport"}
    assert (used - own) | (inherited - documented) <= NAMED | documented


def test_undocumented_names_are_used_in_one_module_only() -> None:
    """What only Autobahn's source tells stays in one place."""
    names = {name for name in NAMED if not hasattr(builtins, name)} - {"data", "state"}
    for path in SOURCE.parent.glob("*.py"):
        if path != SOURCE:
            attributes = {
                node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
            }
            assert attributes & names == set(), path.name

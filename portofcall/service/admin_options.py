"""The options of the admin listener."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.python import usage

from portofcall.service.checkers import make_checker


def parse_admin_auth(text: str) -> ICredentialsChecker:
    """Make the checker of ``--admin-auth``; see `make_checker`."""
    return make_checker("--admin-auth", text)


def check_admin(options: Mapping[str, Any]) -> None:
    """Refuse a command line whose admin listener lacks something, or that lacks an admin listener.

    Args:
        options: as `portofcall.service.options.Options` has them.

    Raises:
        usage.UsageError: the message is one line that names the option.
    """
    if options["admin"] is None:
        if options["admin-auth"]:
            raise usage.UsageError("--admin-auth: needs --admin")
    elif find_spec("prometheus_client") is None:
        raise usage.UsageError("--admin: needs prometheus-client, which pip installs with portofcall[admin]")

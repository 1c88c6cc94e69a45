"""Completion in shells, with argcomplete: the extra ``portofcall[completion]``."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from portofcall.commands import Once


def complete(
    parser: argparse.ArgumentParser,
    *,
    output: TextIO | None = None,
    leave: Callable[[int], object] = os._exit,
) -> int:
    """Write the completions of the command line that the shell has put into the environment, and exit.

    Args:
        parser: of the command line.
        output: gets the completions; None means file descriptor 8, where argcomplete's shell function reads.
        leave: exits with a status.

    Returns:
        The exit status 1, if argcomplete is not installed.
    """
    try:
        from argcomplete import autocomplete  # noqa: PLC0415 - an extra
        from argcomplete.finders import safe_actions  # noqa: PLC0415
    except ModuleNotFoundError:
        sys.stderr.write("portofcall: completion needs argcomplete: pip install 'portofcall[completion]'\n")
        return 1
    # It stores a value, and so may run: the gateways' names depend on --config.
    safe_actions.add(Once)
    autocomplete(parser, always_complete_options=False, output_stream=output, exit_method=leave)
    return 0


def gateway_names(*, parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
    """Return the names of the gateways in the configuration: the completions of GATEWAY.

    Args:
        parsed_args: what comes before on the command line.
        _: what else argcomplete passes.
    """
    from portofcall.client.config import read_config  # noqa: PLC0415 - no command line needs it

    try:
        return tuple(read_config(getattr(parsed_args, "config", None)))
    except ValueError:
        # The command will say what is wrong with it.
        return ()

"""The subcommands of ``portofcall``."""

import argparse
from collections.abc import Sequence
from typing import Any


class Once(argparse.Action):
    """Stores the value of an option, and rejects a second one; argparse's own ``store`` keeps the last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Store the value."""
        given: set[str] = namespace.__dict__.setdefault("given_once", set())
        if self.dest in given:
            raise argparse.ArgumentError(self, "expected once")
        given.add(self.dest)
        setattr(namespace, self.dest, values)

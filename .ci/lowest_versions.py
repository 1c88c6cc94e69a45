"""Write constraints that pin each requirement of setup.cfg to its lowest version: for `tox -e lowest`."""

import configparser
import sys
from pathlib import Path

from packaging.requirements import Requirement


def lowest_versions(setup_cfg: str, extra: str) -> list[str]:
    """Return a line such as ``idna==3.7`` for each requirement, those of an extra included.

    Raises:
        ValueError: a requirement has no lower bound.
    """
    parser = configparser.ConfigParser()
    parser.read_string(setup_cfg)
    text = f"{parser['options']['install_requires']}\n{parser['options.extras_require'][extra]}"
    lines = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            bounds = [bound.version for bound in requirement.specifier if bound.operator == ">="]
            if len(bounds) != 1:
                raise ValueError(f"expected one lower bound, such as 'idna >= 3.7', got '{line}'")
            lines.append(f"{requirement.name}=={bounds[0]}")
    return lines


if __name__ == "__main__":
    pinned = lowest_versions(Path("setup.cfg").read_text(), "test")
    Path(sys.argv[1]).write_text("\n".join([*pinned, ""]))

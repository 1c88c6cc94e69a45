"""Compare the files of a wheel with those of the package in git, and with the metadata that belongs to it."""

import subprocess
import sys
import zipfile

METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt"}


def differences(wheel: str) -> list[str]:
    """Return a line for each file that is missing or that does not belong there."""
    packed = set(zipfile.ZipFile(wheel).namelist())
    folder = next(name.partition("/")[0] for name in packed if ".dist-info/" in name)
    listed = ["git", "ls-tree", "-r", "--name-only", "HEAD", "portofcall", "twisted"]
    expected = set(subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split())
    expected |= {f"{folder}/{name}" for name in METADATA}
    missing = [f"missing in the wheel: {name}" for name in sorted(expected - packed)]
    return missing + [f"unexpected in the wheel: {name}" for name in sorted(packed - expected)]


if __name__ == "__main__":
    found = differences(sys.argv[1])
    print(*found, sep="\n")
    sys.exit(1 if found else 0)

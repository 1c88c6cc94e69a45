"""Compare the files of a wheel with those of the package in git, with its metadata and the built page."""

import re
import subprocess
import sys
import zipfile
from collections import Counter

METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt"}
#: What the page is built from is not installed.
PAGE_SOURCES = "portofcall/web/page/"
STATIC = "portofcall/web/static/"
#: What is built, with the hashes of contents left out. Each of them has a gzip and a brotli variant too.
COMPRESSED = (
    *("app.css", "app.js", "bcrypt.js", *["chunk.js"] * 3, "console.js", "icon.svg"),
    *("licenses.txt", "portofcall.d.ts", "portofcall.js", "ssh.js"),
)
PAGE = [
    "index.html",
    "chart.js",
    *(f"{name}{suffix}" for name in COMPRESSED for suffix in ("", ".gz", ".br")),
]
HASH = re.compile(r"-[0-9A-Z]{8}(?=\.)")


def differences(wheel: str) -> list[str]:
    """Return a line for each file that is missing or that does not belong there."""
    names = zipfile.ZipFile(wheel).namelist()
    packed = Counter(HASH.sub("", name) if name.startswith(STATIC) else name for name in names)
    folder = next(name.partition("/")[0] for name in packed if ".dist-info/" in name)
    listed = ["git", "ls-tree", "-r", "--name-only", "HEAD", "portofcall", "twisted"]
    sources = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    expected = Counter(name for name in sources if not name.startswith(PAGE_SOURCES))
    expected.update(f"{folder}/{name}" for name in METADATA)
    expected.update(STATIC + name for name in PAGE)
    missing = [f"missing in the wheel: {name}" for name in sorted((expected - packed).elements())]
    return missing + [f"unexpected in the wheel: {name}" for name in sorted((packed - expected).elements())]


if __name__ == "__main__":
    found = differences(sys.argv[1])
    print(*found, sep="\n")
    sys.exit(1 if found else 0)

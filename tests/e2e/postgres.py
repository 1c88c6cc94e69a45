"""A PostgreSQL server, started for a test."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.backends import closed_port
from tests.e2e.gateway import need
from tests.e2e.support import running, until
from tests.e2e.wsclient import DEADLINE

#: The password of all users but postgres, who needs none.
PASSWORD = "Ch3sapeake %/?"
#: How ada and bob sign in.
_RULES = """
host all postgres 127.0.0.1/32 trust
host all ada 127.0.0.1/32 scram-sha-256
host all bob 127.0.0.1/32 password
"""


@contextmanager
def postgres() -> Iterator[int]:
    """Run a PostgreSQL server, which refuses to be root; give its port.

    Its users are postgres without a password, ada with SCRAM, and bob with a password in the clear.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    programs = versions[-1] if versions else Path(need("postgres")).parent
    folder, port = Path(tempfile.mkdtemp(prefix="portofcall-")), closed_port()
    user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        user = [need("runuser"), "-u", "postgres", "--"]
    data = folder / "data"
    try:
        _run(*user, programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
        (data / "pg_hba.conf").write_text(_RULES)
        server = [*user, str(programs / "postgres"), "-F", "-D", str(data), "-k", str(folder)]
        log = folder / "log"
        with running([*server, "-p", str(port), "-c", "listen_addresses=127.0.0.1"], log):
            until(lambda: "ready to accept connections" in log.read_text())
            roles = "".join(
                f"create role {name} login superuser password '{PASSWORD}';" for name in ("ada", "bob")
            )
            _run(need("psql"), "-qh", "127.0.0.1", "-p", port, "-U", "postgres", "-c", roles)
            yield port
    finally:
        shutil.rmtree(folder)


def _run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr

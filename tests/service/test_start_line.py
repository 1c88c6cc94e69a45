"""One line says what came of the options."""

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from portofcall.limits.values import Limits
from portofcall.service.maker import makeService
from portofcall.service.start_line import start_line
from portofcall.testing import World
from tests.service.support import parse, stop
from tests.tls_client import GATEWAY, ROOT


class FakeListener:
    """A listener with a URL."""

    def __init__(self, url: str) -> None:
        self.url = url


def line(
    *arguments: str, url: str = "http://127.0.0.1:8080", max_tunnels: int = 400, admin_url: str = ""
) -> list[str]:
    """Return the parts of the line for a command line."""
    options = parse(*arguments)
    world = World()
    world.gateway.policy = options.policy
    if options.targets is not None:
        world.gateway.targets = options.targets
    listeners: Any = [FakeListener(url) for _ in options["listen"]]
    limits = Limits(max_tunnels=max_tunnels)
    admin: Any = None if options["admin"] is None else FakeListener(admin_url)
    shown = start_line(options, world.gateway, listeners, limits=limits, descriptors=1000, admin=admin)
    return shown.split("; ")


def test_line_of_the_defaults() -> None:
    """Everything that an operator may have forgotten."""
    assert line() == [
        "started: http://127.0.0.1:8080",
        "no authentication",
        "allow public",
        "at most 400 tunnels, with 1000 file descriptors",
    ]


def test_line_has_the_operator_s_listener() -> None:
    """With its URL, or as it was written while that is not known."""
    assert line("--admin=tcp:9090:interface=127.0.0.1", admin_url="http://127.0.0.1:9090")[1] == (
        "admin on http://127.0.0.1:9090"
    )
    assert line("--admin=unix:/run/a")[1] == "admin on unix:/run/a"


def test_line_without_limits() -> None:
    """An endpoint that takes its time is shown as it was written."""
    assert line("--listen=tcp:1", "--listen=tcp:2", url="", max_tunnels=0)[0] == "started: tcp:1, tcp:2"
    assert line(max_tunnels=0)[3] == "any number of tunnels, with 1000 file descriptors"


@pytest.mark.parametrize(
    ("options", "egress"),
    [
        (["--allow=10.0.0.0/8:22", "--allow=public"], "allow 10.0.0.0/8:22 public"),
        (["--deny=192.0.2.1"], "allow public, deny 192.0.2.1"),
        ([f"--allow=10.0.0.{n}" for n in range(4)], "allow 4 rules"),
        (["--target=a=unix:/run/a"], "1 named target only"),
        (["--target=a=unix:/run/a", "--target=b=unix:/b", "--allow=public"], "allow public, 2 named targets"),
    ],
)
def test_line_has_the_policy_in_brief(options: list[str], egress: str) -> None:
    """A few rules in full, more by their number, and named targets."""
    assert line(*options)[2] == egress


def test_line_has_the_number_of_tokens(tmp_path: Path) -> None:
    """As of named targets."""
    path = tmp_path / "tokens"
    path.write_text("a: 10.0.0.5:5901\nb: 10.0.0.5:5902\n")
    assert line(f"--target-file=websockify:{path}")[2] == "2 tokens only"
    assert (
        line(f"--target-file=websockify:{path}", "--target=a=unix:/a")[2]
        == "1 named target and 2 tokens only"
    )


def test_line_has_the_means_of_authentication(tmp_path: Path) -> None:
    """Passwords and tickets are alternatives; a client certificate is needed in addition."""
    key = tmp_path / "key"
    key.write_bytes(bytes(range(128, 160)))
    assert line("--auth=memory:a:b")[1] == "authentication: passwords"
    both = ["--auth=memory:a:b", f"--ticket-key={key}"]
    assert line(*both)[1] == "authentication: passwords or tickets"
    certificate, private = GATEWAY.write(tmp_path)
    tls = [f"--tls-cert={certificate}", f"--tls-key={private}", f"--tls-client-ca={ROOT.write(tmp_path)}"]
    assert line("--listen=tls+tcp:1", *tls)[1] == "authentication: client certificates"
    assert line("--listen=tls+tcp:1", "--listen=tcp:2", *tls, *both)[1] == (
        "authentication: passwords or tickets and client certificates on tls+ listeners"
    )


@pytest_twisted.ensureDeferred
async def test_start_is_logged_without_objects(tmp_path: Path, logged: list[str]) -> None:
    """Neither what serves a listener nor what takes the PROXY header apart shows its place in memory."""
    certificate, key = GATEWAY.write(tmp_path)
    kinds = ("", "haproxy:", "tls+", "tls+haproxy:")
    listeners = [f"--listen={kind}tcp:0:interface=127.0.0.1" for kind in kinds]
    service = makeService(parse(*listeners, "--no-auth", f"--tls-cert={certificate}", f"--tls-key={key}"))
    service.privilegedStartService()
    service.startService()
    started = logged[-1]
    await stop(service)
    assert started.startswith("started: http://127.0.0.1:")
    assert started.count("http://127.0.0.1:") == started.count("https://127.0.0.1:") == 2
    assert not [text for text in logged if " object at 0x" in text]

"""SIGHUP reads what authenticates clients again; a broken file locks nobody out and lets nobody in."""

from pathlib import Path

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.egress.named_target import Targets
from portofcall.service.reload import Reload
from portofcall.service.reloadables import reloadables
from portofcall.target import Target, Token
from portofcall.testing import WebSocketClient, World, upgrade_request
from tests.service.support import parse
from tests.support import basic


class Rig:
    """A gateway in memory with the credentials of a command line, and their reload."""

    def __init__(self, *arguments: str) -> None:
        options = parse(*arguments)
        self.world = World(credentials=options.credentials)
        self.reload = Reload(list(reloadables(options, self.world.gateway, None)))

    def status(self, user: str = "", password: str = "", ticket: str = "") -> int:
        """Return the status of an upgrade."""
        query = "host=93.184.215.14&port=22" + (f"&ticket={ticket}" if ticket else "")
        authorization = basic(user, password)[0].decode() if user else None
        self.world.reactor.advance(100)  # past the backoff of failures
        return WebSocketClient(
            self.world, upgrade_request(query, Authorization=authorization)
        ).response.status


def test_password_files_are_read_again(tmp_path: Path, logged: list[str]) -> None:
    """Not before; those that are not files stay. A broken one keeps what it had, and the log has the line."""
    path = tmp_path / "passwords"
    path.write_text("ada:lovelace\n")
    rig = Rig(f"--auth=file:{path}", "--auth=memory:root:toor")
    path.write_text("ada:countess\ngrace:hopper\n")
    assert [rig.status("ada", "lovelace"), rig.status("ada", "countess")] == [101, 401]
    logged.clear()
    rig.reload()
    assert logged == ["password list reloaded: 2 users"]
    assert [rig.status("ada", "lovelace"), rig.status("ada", "countess")] == [401, 101]
    path.write_text("ada:third\nhopper\n")
    logged.clear()
    rig.reload()
    assert logged == [
        f"password list not reloaded, the previous one stays in force: --auth file:{path}: "
        "line 2: expected user:password"
    ]
    logins = [("ada", "third"), ("ada", "countess"), ("grace", "hopper"), ("root", "toor")]
    assert [rig.status(*login) for login in logins] == [401, 101, 101, 101]


def test_password_files_of_the_admin_listener_are_read_again_as_well(tmp_path: Path) -> None:
    """They are known by their own option."""
    path = tmp_path / "passwords"
    path.write_text("ada:lovelace\n")
    options = parse(f"--admin-auth=file:{path}", "--admin=tcp:0")
    reload = Reload(list(reloadables(options, World().gateway, None)))
    path.write_text("grace:hopper\n")
    reload()
    (checker,) = options["admin-auth"]
    assert (checker.option, checker.passwords) == ("--admin-auth", {b"grace": b"hopper"})


def test_ticket_key_is_read_again(tmp_path: Path, logged: list[str]) -> None:
    """Tickets of the old one are refused then; a file that holds no key changes nothing."""
    path = tmp_path / "key"
    old, new = bytes(range(128, 160)), bytes(range(160, 192))
    path.write_bytes(old)
    rig = Rig(f"--ticket-key={path}", "--end-at-exp")

    def ticket(secret: bytes) -> str:
        return TicketKey.load(secret).issue(now=rig.world.now, ttl_seconds=1000)

    path.write_bytes(new)
    rig.reload()
    assert logged == ["ticket key reloaded: HS256"]
    assert [rig.status(ticket=ticket(old)), rig.status(ticket=ticket(new))] == [401, 101]
    path.write_bytes(b"short")
    logged.clear()
    rig.reload()
    (line,) = logged
    assert line.startswith(f"ticket key not reloaded, the previous one stays in force: --ticket-key {path}: ")
    assert rig.status(ticket=ticket(new)) == 101
    assert rig.world.gateway.credentials.end_at_exp


def test_nothing_is_read_again_without_files() -> None:
    """Passwords of the command line stay."""
    assert list(reloadables(parse("--auth=memory:a:b"), World(credentials=Credentials()).gateway, None)) == []


def test_open_tunnels_are_judged_again_if_that_is_asked_for(tmp_path: Path, logged: list[str]) -> None:
    """By a reloaded policy; without the option they stay open."""
    for flags, codes in (([], []), (["--recheck-open-tunnels"], [4403])):
        path = tmp_path / "policy"
        path.write_text("allow public\n")
        rig = Rig(f"--policy={path}", *flags)
        client = WebSocketClient(rig.world)
        path.write_text("allow 10.0.0.0/8\n")
        rig.reload()
        assert [int.from_bytes(payload[:2]) for _, payload in client.received()] == codes


def test_tokens_are_read_again(tmp_path: Path) -> None:
    """From a file or a directory in websockify's format, which may become empty."""
    path = tmp_path / "tokens"
    path.mkdir()
    (path / "desks").write_text("secret: 10.0.0.5:5901\n")
    rig = Rig(f"--target-file=websockify:{path}")
    rig.reload()
    assert rig.world.gateway.targets.find(Token("secret")).place == Target("10.0.0.5", 5901)
    (path / "desks").write_text("other: 10.0.0.5:5901\n")
    rig.reload()
    assert set(rig.world.gateway.targets.by_token) == {Token("other")}
    (path / "desks").unlink()
    rig.reload()
    assert len(rig.world.gateway.targets) == 0


def test_open_tunnels_to_named_targets_are_judged_again_as_well(tmp_path: Path) -> None:
    """By a reloaded target file."""
    path = tmp_path / "targets"
    path.write_text("db: 10.0.0.5:5432\n")
    rig = Rig(f"--target-file={path}", "--recheck-open-tunnels")
    rig.world.gateway.targets = parse(f"--target-file={path}").targets or Targets()
    client = WebSocketClient(rig.world, upgrade_request("target=db"))
    path.write_text("db: 10.0.0.6:5432\n")
    rig.reload()
    assert client.close_frame() == (4403, "blocked: db leads elsewhere now")

"""Signing in to OpenSSH servers of many configurations from the page."""

from pathlib import Path

import pytest

from tests.e2e.backends import closed_port
from tests.e2e.page import ENTER, needs_page
from tests.e2e.ssh_prompts import FLOOD, FLOODS, INSTRUCTION, QUESTIONS, WELCOME, prompting_server
from tests.e2e.ssh_servers import BANNER, KINDS, SshServers
from tests.e2e.ssh_view import SshView

pytestmark = [pytest.mark.slow, needs_page]

#: File names of keys, with the arguments of ssh-keygen that make them.
KEY_FILES: dict[str, tuple[str, ...]] = {
    "id_ed25519": ("ed25519",),
    "id_ecdsa": ("ecdsa",),
    "id_ecdsa_521": ("ecdsa", "-b", "521"),
    "id_rsa": ("rsa",),
    "id_ecdsa_pem": ("ecdsa", "-m", "PEM"),
    "id_rsa_pem": ("rsa", "-m", "PEM"),
    "id_ecdsa_pkcs8": ("ecdsa", "-m", "PKCS8"),
    "id_rsa_pkcs8": ("rsa", "-m", "PKCS8"),
}
ENCRYPTED: dict[str, tuple[str, ...]] = {
    "id_ed25519_encrypted": ("ed25519",),
    "id_rsa_pkcs8_encrypted": ("rsa", "-m", "PKCS8"),
}
PASSPHRASE = "three ships 1492"


@pytest.mark.parametrize(
    ("kind", "key_type"),
    [
        ("all", "ED25519"),
        ("ed25519", "ED25519"),
        ("ecdsa", "ECDSA"),
        ("rsa", "RSA"),
        ("rekey", "ED25519"),
        ("hardened", "ED25519"),
        ("curve25519", "ED25519"),
        ("nist", "ECDSA"),
        ("ctr", "ED25519"),
    ],
)
def test_password(ssh: SshView, ssh_servers: SshServers, kind: str, key_type: str) -> None:
    """The fingerprint is ssh-keygen's, and the exit status of the shell is shown."""
    server = ssh_servers[kind]
    ssh.dial(server, ssh_servers.account)
    assert f"({key_type})" in ssh.trust(server)
    ssh.wait_for_state("sign-in")
    ssh.sign_in(ssh_servers.account.password)
    ssh.wait_for_prompt()
    ssh.enter("exit 42")
    assert "Exit status 42" in ssh.end()
    ssh.assert_nothing_foreign()


def test_every_kind_of_server_is_tried() -> None:
    """None was forgotten above; the others have tests of their own below."""
    marks = [mark for mark in getattr(test_password, "pytestmark", []) if mark.name == "parametrize"]
    assert {kind for kind, _ in marks[0].args[1]} | {"pam", "in turn", "banner", "chacha20"} == set(KINDS)


def test_server_that_has_nothing_in_common(ssh: SshView, ssh_servers: SshServers) -> None:
    """What it lacks is named, and nothing hangs."""
    server = ssh_servers["chacha20"]
    ssh.dial(server, ssh_servers.account)
    ssh.wait_for_state("failed")
    text = ssh.wait_for_text("chacha20-poly1305@openssh.com")
    assert "aes256-gcm@openssh.com" in text
    assert "userauth-request" not in server.log


@pytest.mark.parametrize("name", KEY_FILES)
def test_key_file(ssh: SshView, ssh_servers: SshServers, name: str) -> None:
    """In OpenSSH's format, PEM and PKCS8."""
    key = ssh_servers.key(name, *KEY_FILES[name])
    ssh_servers.authorize(key)
    ssh.reach(ssh_servers["all"], ssh_servers.account)
    ssh.sign_in(key=key)
    ssh.wait_for_prompt()


@pytest.mark.parametrize("name", ENCRYPTED)
def test_encrypted_key_file(ssh: SshView, ssh_servers: SshServers, name: str) -> None:
    """A wrong passphrase is reported and asked for again; the page stays responsive meanwhile."""
    key = ssh_servers.key(name, *ENCRYPTED[name], passphrase=PASSPHRASE)
    ssh_servers.authorize(key)
    server = ssh_servers["all"]
    ssh.reach(server, ssh_servers.account)
    before = server.log.count("Connection from")
    ssh.sign_in(key=key, passphrase="two ships")
    ssh.window.wait(f"{ssh.find('.sign-in-error')}?.textContent.toLowerCase().includes('passphrase')")
    ssh.fill("[name=passphrase]", PASSPHRASE)
    ssh.press("Sign in")
    ssh.wait_for_prompt()
    assert server.log.count("Connection from") == before


def test_file_that_is_no_key(ssh: SshView, ssh_servers: SshServers, tmp_path: Path) -> None:
    """It is reported in the form; a public key, too."""
    public = ssh_servers.key("id_ed25519", "ed25519").with_suffix(".pub")
    ssh.reach(ssh_servers["all"], ssh_servers.account)
    wrong = tmp_path / "photo"
    wrong.write_bytes(bytes(range(256)) * 100)
    for path, sentence in ((wrong, "photo is no private key"), (public, "is a public key")):
        ssh.wait_for_form()
        ssh.choose("[name=key]", path)
        ssh.wait_for_text(sentence)
        assert ssh.state() == "sign-in"


def test_key_dropped_on_the_panel(ssh: SshView, ssh_servers: SshServers) -> None:
    """It is taken like a chosen one."""
    key = ssh_servers.key("id_ed25519", "ed25519")
    ssh_servers.authorize(key)
    ssh.reach(ssh_servers["all"], ssh_servers.account)
    ssh.drop("form.sign-in", key)
    ssh.window.wait(f"{ssh.find('form.sign-in')}?.textContent.includes('id_ed25519')")
    ssh.press("Sign in")
    ssh.wait_for_prompt()
    # It is kept in memory alone.
    stored = ssh.window.value("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "portofcall.known-hosts" in stored
    body = "".join(key.read_text().splitlines()[1:-1])
    assert not any(piece in stored for piece in ("PRIVATE KEY", body[:40], body[-40:], key.name))
    databases = "indexedDB.databases().then((all) => all.length)"
    assert ssh.window.value(databases) == 0


def test_wrong_password_is_asked_again(ssh: SshView, ssh_servers: SshServers) -> None:
    """In the same session."""
    server = ssh_servers["all"]
    ssh.reach(server, ssh_servers.account)
    before = server.log.count("Connection from")
    ssh.sign_in("no")
    ssh.window.wait(f"{ssh.find('.sign-in-error')}?.textContent.includes('Permission denied')")
    ssh.sign_in(ssh_servers.account.password)
    ssh.wait_for_prompt()
    assert server.log.count("Connection from") == before


def test_prompts_of_pam(ssh: SshView, ssh_servers: SshServers) -> None:
    """The password, then a one-time code; a wrong password is asked again."""
    account = ssh_servers.account
    ssh.reach(ssh_servers["pam"], account)
    ssh.sign_in()
    ssh.window.wait(f"{ssh.find('form.prompts')}?.textContent.includes('Password')")
    assert ssh.window.value(f"{ssh.find('[name=prompt-0]')}.type") == "password"
    ssh.fill("[name=prompt-0]", account.password)
    ssh.press("Continue")
    ssh.window.wait(f"{ssh.find('form.prompts')}?.textContent.includes('Verification code')")
    ssh.fill("[name=prompt-0]", account.code())
    ssh.press("Continue")
    ssh.wait_for_prompt()
    ssh.assert_nothing_foreign()


def test_several_prompts_at_once(ssh: SshView, ssh_servers: SshServers) -> None:
    """All in one form, hidden or not as the server says; its banners have a bound."""
    key = ssh_servers.key("host_ed25519", "ed25519")
    with prompting_server(key) as port:
        ssh.open(f"#ssh/{ssh_servers.account.name}@127.0.0.1:{port}")
        ssh.window.type(ENTER)
        ssh.wait_for_state("host-key")
        ssh.press("Trust this key")
        ssh.wait_for_state("sign-in")
        for answers in (["Niña", "wrong", "Pinta"], [right for _, _, right in QUESTIONS]):
            ssh.sign_in()
            shown = ssh.window.wait(f"{ssh.find('form.prompts')}?.textContent")
            banner = ssh.window.value(f"{ssh.find('.ssh-banner')}.textContent")
            assert len(banner) < 17_000 < FLOODS * len(FLOOD)
            assert set(banner) == set("Ahoy [31m…")
            assert all(text.strip() in shown for text, _, _ in QUESTIONS)
            assert INSTRUCTION in shown
            for number, ((_, echo, _), answer) in enumerate(zip(QUESTIONS, answers, strict=True)):
                field = f"[name=prompt-{number}]"
                assert ssh.window.value(f"{ssh.find(field)}.type") == ("text" if echo else "password")
                ssh.fill(field, answer)
            ssh.press("Continue")
        ssh.wait_for_state("open")
        ssh.wait_for_screen(WELCOME)


def test_key_and_password_in_turn(ssh: SshView, ssh_servers: SshServers) -> None:
    """The key is accepted, and then the password is asked for; the field comes when the server wants it."""
    account = ssh_servers.account
    key = ssh_servers.key("id_ed25519", "ed25519")
    ssh_servers.authorize(key)
    ssh.reach(ssh_servers["in turn"], account)
    ssh.wait_for_form()
    assert not ssh.window.value(f"{ssh.find('[name=password]')}.checkVisibility()")
    ssh.sign_in(key=key)
    ssh.window.wait(f"{ssh.find('.sign-in-note')}?.textContent.includes('publickey was accepted')")
    ssh.sign_in(account.password)
    ssh.wait_for_prompt()


def test_banner_is_text(ssh: SshView, ssh_servers: SshServers) -> None:
    """Of the server, before the password is asked for; never HTML."""
    ssh.reach(ssh_servers["banner"], ssh_servers.account)
    shown = ssh.window.wait(f"{ssh.find('.ssh-banner')}?.textContent")
    assert BANNER.strip() in shown
    assert ssh.window.value(f"{ssh.find('.ssh-banner')}.querySelector('b')") is None


def test_port_where_nothing_listens(ssh: SshView, ssh_servers: SshServers) -> None:
    """The gateway's sentence is shown."""
    port = closed_port()
    ssh.open(f"#ssh/{ssh_servers.account.name}@127.0.0.1:{port}")
    ssh.window.type(ENTER)
    ssh.wait_for_text("no service listens on that port")

"""Sessions of SSH in the page, several at a time and behind other views."""

import json

import pytest

from tests.e2e.page import ENTER, needs_page
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import SshView

pytestmark = [pytest.mark.slow, needs_page]


def choose(ssh: SshView, action: str) -> None:
    """Click a button beside the field."""
    buttons = "[...document.querySelectorAll('#actions button')]"
    ssh.window.value(f"{buttons}.find(({{textContent}}) => textContent === {json.dumps(action)}).click()")


def test_sessions_go_on_behind_other_views(ssh: SshView, ssh_servers: SshServers) -> None:
    """A ping to the same server, and back: the shell went on, and the address names it again."""
    server, account = ssh_servers["all"], ssh_servers.account
    ssh.log_in(server, account)
    ssh.enter("sleep 1; echo went''on")
    choose(ssh, "Ping")
    ssh.window.wait("document.querySelector('.figures')")
    assert ssh.window.value("location.hash") == f"#ping/127.0.0.1:{server.port}"
    assert ssh.window.value("document.querySelector('#ssh-running').textContent") == "SSH sessions: 1"
    ssh.window.value("document.querySelector('#ssh-running button').click()")
    ssh.wait_for_screen("wenton")
    login = f"{account.name}@127.0.0.1:{server.port}"
    assert ssh.window.value("location.hash") == f"#ssh/{login}"
    assert ssh.window.value("document.querySelector('.view-head .mono').textContent") == login
    ssh.enter("echo still''here")
    ssh.wait_for_screen("stillhere")


def test_closing_one_session_leaves_the_other(ssh: SshView, ssh_servers: SshServers) -> None:
    """The other one is shown then, with the keyboard in its terminal."""
    server, account = ssh_servers["all"], ssh_servers.account
    ssh.log_in(server, account)
    ssh.enter("echo the first''one")
    ssh.wait_for_screen("the firstone")
    choose(ssh, "SSH")
    ssh.wait_for_state("sign-in")
    ssh.sign_in(account.password)
    ssh.wait_for_prompt()
    ssh.window.value("window.confirm = () => true; document.querySelector('.ssh-close').click()")
    ssh.wait_for_screen("the firstone")
    assert ssh.window.value("document.querySelectorAll('#ssh-tabs [role=tab]').length") == 1
    ssh.enter("echo still''here")
    ssh.wait_for_screen("stillhere")


def test_view_that_was_left_while_it_loads_connects_nowhere(ssh: SshView, ssh_servers: SshServers) -> None:
    """SSH is a part of the page that is loaded when it is wanted."""
    server = ssh_servers["all"]
    ssh.open(f"#ssh/{ssh_servers.account.name}@127.0.0.1:{server.port}")
    before = server.log.count("Connection from")
    buttons = "[...document.querySelectorAll('#actions button')]"
    ssh.window.value(
        f"for (const name of ['SSH', 'SSH banner']) {buttons}.find((one) => one.textContent === name).click()"
    )
    ssh.wait_for_text("OpenSSH_")
    names = "performance.getEntriesByType('resource').map(({name}) => name)"
    ssh.window.wait(f"{names}.some((name) => /[/]ssh-[^/]*[.]js$/.test(name))")
    ssh.window.value("new Promise((resolve) => setTimeout(resolve, 300))")
    assert ssh.window.value("document.querySelector('#ssh-running').hidden")
    # The banner's alone.
    assert server.log.count("Connection from") == before + 1


def test_no_key_is_remembered_for_a_pattern(ssh: SshView) -> None:
    """A link to ``*`` would else make one key that of every server."""
    ssh.open("#ssh/pilot@*")
    ssh.window.type(ENTER)
    ssh.wait_for_text("* is not the name of a host", ".failure")
    assert "*" not in (ssh.window.value("localStorage.getItem('portofcall.known-hosts')") or "")

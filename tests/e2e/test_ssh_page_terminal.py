"""The terminal of the page: what is typed, what is shown, and how a shell ends."""

import re
import time

import pytest

from tests.e2e.backends import MiB
from tests.e2e.browser import KEYS
from tests.e2e.page import ENTER, needs_page
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import PANEL, SshView
from tests.e2e.support import until

pytestmark = [pytest.mark.slow, needs_page]

#: 27 MB of text.
FLOOD = "head -c 20000000 /dev/zero | base64"


def test_size_of_the_terminal_is_the_servers(ssh: SshView, ssh_servers: SshServers) -> None:
    """Also after the window has changed."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    sizes = []
    for width in (1000, 600):
        ssh.window.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=640, deviceScaleFactor=1, mobile=False
        )
        try:
            rows = f"{ssh.find('.xterm-rows')}.children.length"
            ssh.window.value("new Promise((resolve) => setTimeout(resolve, 400))")
            ssh.enter(f"echo {width} $TERM $(stty size)")
            shown = ssh.wait_for_screen(rf"\n{width} xterm-256color (\d+) (\d+)")
            assert int(shown[1]) == ssh.window.value(rows)
            sizes.append(int(shown[2]))
        finally:
            ssh.window.command("Emulation.clearDeviceMetricsOverride")
    assert sizes[0] > sizes[1] > 20
    ssh.assert_nothing_foreign()


def test_unicode_there_and_back(ssh: SshView, ssh_servers: SshServers) -> None:
    """The shell thinks in characters, wide ones take two cells, and colours need no inline style."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.window.insert("echo 'grüße 世界 🚢' | od -An -tx1; locale | grep CTYPE")
    ssh.window.type(ENTER)
    ssh.wait_for_screen(r"67 72 c3 bc c3 9f 65 20 e4 b8 96 e7 95 8c 20 f0\n\s*9f 9a a2 0a")
    ssh.wait_for_screen(r'LC_CTYPE="?C\.UTF-8')
    # A column after a wide emoji is where the shell thinks it is.
    ssh.enter(r"clear; printf '\U1F6A2\033[4GX\n\033[1;31mred\033[0m \033[48;2;1;2;3mtrue\033[0m\n'")
    ssh.wait_for_screen(r"🚢 X[\s\S]*red true")
    spans = f"[...{ssh.find('.xterm-rows')}.querySelectorAll('span')]"
    colours = ssh.window.value(
        f"{spans}.filter((one) => ['red', 'true'].includes(one.textContent.trim()))"
        ".map((one) => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor])"
    )
    (red, _), (other, background) = colours
    assert red != other
    assert background == "rgb(1, 2, 3)"
    ssh.assert_nothing_foreign()


@pytest.mark.parametrize(
    ("line", "end"), [("exit 42", "Exit status 42"), ("kill -9 $$", "Killed by signal KILL")]
)
def test_end_of_the_shell(ssh: SshView, ssh_servers: SshServers, line: str, end: str) -> None:
    """Its status or its signal."""
    ssh.log_in(ssh_servers["ed25519"], ssh_servers.account)
    ssh.enter(line)
    assert end in ssh.end()


def test_27_mb_of_output_in_the_terminal(ssh: SshView, ssh_servers: SshServers) -> None:
    """The heap stays small, the keyboard is answered afterwards, and Ctrl-C ends `yes` at once."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.enter(f"{FLOOD}; echo DO''NE")
    heaps = [ssh.heap_bytes()]
    begun = time.monotonic()
    while not re.search("DONE", ssh.screen()):
        heaps.append(ssh.heap_bytes())
        assert time.monotonic() < begun + 120
    print(f"27 MB in the terminal: {time.monotonic() - begun:.1f} s, heap at most {max(heaps) / MiB:.0f} MiB")
    assert max(heaps) < 100 * MiB, [heap // MiB for heap in heaps]
    ssh.enter("yes")
    ssh.wait_for_screen(r"y\ny\ny\ny")
    ssh.window.value("new Promise((resolve) => setTimeout(resolve, 1000))")
    pressed = time.monotonic()
    ssh.window.type("c", held=KEYS["Control"])
    ssh.wait_for_screen(r"\^C[\s\S]*\$ ?$")
    print(f"Ctrl-C out of yes: {time.monotonic() - pressed:.2f} s")
    assert time.monotonic() - pressed < 3
    assert ssh.heap_bytes() < 100 * MiB


def test_sessions_in_tabs_run_in_the_background(ssh: SshView, ssh_servers: SshServers) -> None:
    """While another tab, or another view, is shown."""
    account = ssh_servers.account
    ssh.log_in(ssh_servers["all"], account)
    ssh.enter("sleep 1; echo first > tab; cat tab; echo DO''NE")
    ssh.window.value("((field) => { field.focus(); field.select(); })(document.querySelector('#place'))")
    ssh.window.insert(f"ssh -p {ssh_servers['rsa'].port} {account.name}@127.0.0.1")
    ssh.window.type(ENTER)
    ssh.trust(ssh_servers["rsa"])
    ssh.wait_for_state("sign-in")
    ssh.sign_in(account.password)
    ssh.wait_for_prompt()
    ssh.enter("echo second > tab2; cat tab2")
    ssh.wait_for_screen("second")
    until((account.home / "tab").exists)
    ssh.window.value("document.querySelector('#ssh-tab-1').click()")
    ssh.window.wait(f"{PANEL}.id === 'ssh-panel-1'")
    ssh.wait_for_screen("first\nDONE")
    assert ssh.window.value("document.querySelector('#ssh-tab-1').ariaSelected") == "true"
    ssh.assert_nothing_foreign()


def test_paste_of_several_lines_is_a_question(ssh: SshView, ssh_servers: SshServers) -> None:
    """Only when the shell can't tell a paste from typing."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.enter("bind 'set enable-bracketed-paste off'; echo OF''F")
    ssh.wait_for_screen(r"\nOFF\n\S*\$ ?$")
    paste = (
        "document.activeElement.dispatchEvent(new ClipboardEvent('paste', {bubbles: true, cancelable: true, "
        "clipboardData: (data => (data.setData('text/plain', 'echo 1a\\necho 2b\\n'), data))"
        "(new DataTransfer())}))"
    )
    ssh.window.value(paste)
    ssh.window.wait(f"{ssh.find('.paste')}?.checkVisibility()")
    ssh.press("Cancel")
    ssh.enter("echo still empty")
    assert "2b" not in ssh.wait_for_screen(r"\nstill empty[\s\S]*")[0]
    ssh.window.value(paste)
    ssh.window.wait(f"{ssh.find('.paste')}?.checkVisibility()")
    ssh.press("Paste 2 lines")
    ssh.wait_for_screen(r"\n1a\n[\s\S]*\n2b\n")


def test_search_in_what_was_shown(ssh: SshView, ssh_servers: SshServers) -> None:
    """With a count, also in what has been scrolled away."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.enter("clear; seq -f 'line %g end' 500; echo DO''NE")
    ssh.wait_for_screen("DONE")
    assert "line 77 end" not in ssh.screen()
    ssh.press("Search")
    ssh.window.wait(f"{ssh.find('[name=search]')}?.checkVisibility()")
    ssh.fill("[name=search]", "line 77 end")
    ssh.window.type(ENTER)
    ssh.wait_for_screen(r"(?m)^line 77 end$")
    ssh.window.wait(f"{ssh.find('.search-count')}.textContent.startsWith('1 of 1')")
    ssh.press("Close search")
    ssh.window.wait("document.activeElement?.closest('.terminal')")

"""The terminal of the page: what is typed, what is shown, and how a shell ends."""

import json
import re
import time

import pytest

from tests.e2e.backends import MiB
from tests.e2e.browser import KEYS
from tests.e2e.page import ENTER, TAB, needs_page
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


def paste(ssh: SshView, text: str) -> None:
    """Paste where the focus is."""
    ssh.window.value(
        "document.activeElement.dispatchEvent(new ClipboardEvent('paste', {bubbles: true, cancelable: true, "
        f"clipboardData: (data => (data.setData('text/plain', {json.dumps(text)}), data))"
        "(new DataTransfer())}))"
    )


def test_paste_of_several_lines_is_a_question(ssh: SshView, ssh_servers: SshServers) -> None:
    """Only when the shell can't tell a paste from typing."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.enter("bind 'set enable-bracketed-paste off'; echo OF''F")
    ssh.wait_for_screen(r"\nOFF\n\S*\$ ?$")
    paste(ssh, "echo 1a\necho 2b\n")
    ssh.window.wait(f"{ssh.find('.paste')}?.checkVisibility()")
    ssh.press("Cancel")
    ssh.enter("echo still empty")
    assert "2b" not in ssh.wait_for_screen(r"\nstill empty[\s\S]*")[0]
    paste(ssh, "echo 1a\necho 2b\n")
    ssh.window.wait(f"{ssh.find('.paste')}?.checkVisibility()")
    ssh.press("Paste 2 lines")
    ssh.wait_for_screen(r"\n1a\n[\s\S]*\n2b\n")


def test_paste_arrives_as_one_where_the_shell_knows_pastes(ssh: SshView, ssh_servers: SshServers) -> None:
    """In brackets, without a question and without control characters; bash runs nothing before Enter."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.enter(r"printf '\033[?2004h'; stty -icanon -echo; head -c 20 | od -An -c; stty sane; echo DO''NE")
    ssh.window.value("new Promise((resolve) => setTimeout(resolve, 300))")
    paste(ssh, "one\x1b\x03\ntwo\n")
    ssh.wait_for_screen(
        r"033 +\[ +2 +0 +0 +~ +o +n +e +\\n +t +w +o +\\n +033 +\[\s+2 +0 +1 +~\n[\s\S]*DONE\n\S*\$ ?$"
    )
    ssh.window.value(f"{ssh.find('.xterm-helper-textarea')}.focus()")
    paste(ssh, "echo 1a''b\necho 2c''d\n")
    ssh.wait_for_screen(r"echo 2c''d")
    ssh.window.value("new Promise((resolve) => setTimeout(resolve, 200))")
    assert not re.search("1ab|2cd", ssh.screen())
    assert not ssh.window.value(f"{ssh.find('.paste')}?.checkVisibility()")
    ssh.window.type(ENTER)
    ssh.wait_for_screen(r"\n1ab\n2cd\n")
    ssh.assert_nothing_foreign()


def click(ssh: SshView, text: str, modifiers: int = 0, clicks: int = 1) -> str:
    """Move the mouse to a text on the screen, and click there; return what the page says about it.

    Args:
        ssh: the view.
        text: what is clicked.
        modifiers: keys that are held: 2 for Control.
        clicks: how many, one right after the other.
    """
    rows = f"[...{ssh.find('.xterm-rows')}.children]"
    needle = json.dumps(text)
    x, y = ssh.window.value(
        "(row => (range => (range.selectNodeContents(row), (box =>[box.x + box.width / row.textContent.length"
        f" * (row.textContent.lastIndexOf({needle}) + 1.5), box.y + box.height / 2])"
        "(range.getBoundingClientRect())))(new Range()))"
        f"({rows}.findLast((row) => row.textContent.includes({needle})))"
    )
    ssh.window.command("Input.dispatchMouseEvent", type="mouseMoved", x=x - 2, y=y, modifiers=modifiers)
    ssh.window.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, modifiers=modifiers)
    ssh.window.value("new Promise((resolve) => setTimeout(resolve, 150))")
    for count in range(1, clicks + 1):
        mouse = {"modifiers": modifiers, "button": "left", "clickCount": count}
        for kind in ("mousePressed", "mouseReleased"):
            ssh.window.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, **mouse)
    return str(ssh.window.value(f"{ssh.find('.ssh-terminal')}.title"))


def test_links_open_only_with_a_modifier(ssh: SshView, ssh_servers: SshServers) -> None:
    """Those that a program marks, too, if they lead to the web; the page says where they lead."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.window.value(
        "window.opened = [], window.open = (...all) => (window.opened.push(all), null), undefined"
    )
    mark = r"\033]8;;%s\033\\%s\033]8;;\033\\\n"
    ssh.enter(
        f"clear; printf '{mark}' javascript:alert%281%29 SCR''IPT https://b.example/b MAR''KED; "
        "echo https://a.example/a''a"
    )
    ssh.wait_for_screen(r"^SCRIPT\nMARKED\nhttps://a\.example/aa\n")
    assert click(ssh, "https://a.example/aa") == "Ctrl+click opens https://a.example/aa"
    click(ssh, "MARKED")
    click(ssh, "SCRIPT")
    click(ssh, "SCRIPT", modifiers=2)
    assert ssh.window.value("window.opened") == []
    click(ssh, "https://a.example/aa", modifiers=2)
    assert click(ssh, "MARKED", modifiers=2) == "Ctrl+click opens https://b.example/b"
    expected = [
        [f"https://{name}", "_blank", "noopener,noreferrer"] for name in ("a.example/aa", "b.example/b")
    ]
    assert ssh.window.value("window.opened") == expected
    ssh.assert_nothing_foreign()


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


def test_selected_text_is_copied_with_the_keyboard(ssh: SshView, ssh_servers: SshServers) -> None:
    """Ctrl+C alone is the shell's."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.window.value(
        "window.copied = [], "
        "navigator.clipboard.writeText = async (text) => void window.copied.push(text), undefined"
    )
    ssh.enter("clear; echo an''chor a''weigh")
    ssh.wait_for_screen(r"^anchor aweigh\n")
    click(ssh, "aweigh", clicks=2)
    ssh.window.type("c", held=KEYS["Control"])
    ssh.wait_for_screen(r"\^C")
    assert ssh.window.value("window.copied") == []
    click(ssh, "aweigh", clicks=2)
    pressed = {
        "type": "rawKeyDown",
        "modifiers": 2 | 8,
        "code": "KeyC",
        "key": "C",
        "windowsVirtualKeyCode": 67,
    }
    ssh.window.command("Input.dispatchKeyEvent", **pressed)
    ssh.window.wait("window.copied.length")
    assert ssh.window.value("window.copied") == ["aweigh"]


def test_settings_of_the_terminal(ssh: SshView, ssh_servers: SshServers) -> None:
    """Larger text makes fewer columns, and less is scrolled back; both hold for the next session."""
    server, account = ssh_servers["all"], ssh_servers.account
    ssh.log_in(server, account)
    ssh.enter("echo first $(stty size)")
    before = int(ssh.wait_for_screen(r"\nfirst \d+ (\d+)")[1])
    for _ in range(4):
        ssh.press("A+, larger text")
    ssh.press("Settings")
    ssh.window.wait(f"{ssh.find('[name=scrollback]')}?.checkVisibility()")
    ssh.fill("[name=scrollback]", "20")
    ssh.window.type(TAB)
    ssh.dial(server, account, forget=False)
    ssh.wait_for_state("sign-in")
    ssh.sign_in(account.password)
    ssh.wait_for_prompt()
    ssh.enter("seq -f 'line %g end' 500; echo second $(stty size)")
    assert int(ssh.wait_for_screen(r"\nsecond \d+ (\d+)")[1]) < before
    ssh.press("Search")
    for text, found in (("line 77 end", "not found"), ("line 490 end", "1 of 1")):
        ssh.fill("[name=search]", text)
        ssh.window.type(ENTER)
        ssh.window.wait(f"{ssh.find('.search-count')}.textContent === '{found}'")
    ssh.assert_nothing_foreign()

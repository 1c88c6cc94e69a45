"""Hostile programs in the terminal of the page: they reach nothing beyond it."""

import pytest

from tests.e2e.page import needs_page
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import PANEL, SshView

pytestmark = [pytest.mark.slow, needs_page]

#: Titles, the clipboard, an enquiry, reports of titles, another size and place of the window, iTerm2's own.
SEQUENCES = (
    r"\033]0;EVIL\007\033]2;EVIL\007\033]52;c;RVZJTA==\007\005\033[21t\033[20t"
    r"\033[8;5;5t\033[3;1;1t\033]1337;x\007"
)
WATCH = """
window.copied = [];
navigator.clipboard.writeText = async (text) => void window.copied.push(text);
window.opened = [];
window.open = (...all) => (window.opened.push(all), null);
"""


def test_sequences_that_reach_beyond_the_terminal(ssh: SshView, ssh_servers: SshServers) -> None:
    """Neither title nor clipboard nor size is theirs, and nothing of the page is typed into the shell."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.window.value(WATCH)
    title = ssh.window.value("document.title")
    # Whatever the terminal responds would be read here.
    ssh.enter(f"a=$(stty size); printf '{SEQUENCES}'; read -rsn1 -t0.5 x; echo \"<${{x}}> $a=$(stty size)\"")
    shown = ssh.wait_for_screen(r"\n<(.*)> (\d+ \d+)=(\d+ \d+)")
    assert shown[1] == ""
    assert shown[2] == shown[3]
    assert ssh.window.value("document.title") == title
    assert ssh.window.value("window.copied") == []
    ssh.assert_nothing_foreign()


def test_flood_of_bells(ssh: SshView, ssh_servers: SshServers) -> None:
    """One bell is seen at a time, and the others cost no timer."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh.window.value(
        "window.bells = 0, ((wait) => { window.setTimeout = (run, delay, ...rest) => "
        "(window.bells += delay === 200, wait(run, delay, ...rest)); })(window.setTimeout)"
    )
    ssh.enter(r"head -c 3000000 /dev/zero | tr '\0' '\a'; echo DO''NE")
    ssh.window.wait(f"{PANEL}.classList.contains('rang')")
    ssh.wait_for_screen("DONE")
    assert 1 <= ssh.window.value("window.bells") < 100

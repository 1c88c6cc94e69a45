"""The SSH view of the page in a browser, used as people use it."""

import json
import re
import time
from pathlib import Path

from tests.e2e.page import ENTER, Page
from tests.e2e.ssh_account import Account
from tests.e2e.ssh_servers import SshServer
from tests.e2e.wsclient import DEADLINE

#: The panel of the tab that is shown.
PANEL = "document.querySelector('[id^=ssh-panel-]:not([hidden])')"


class SshView(Page):
    """The page, with what can be done in its SSH view; see `Page`."""

    def find(self, selector: str) -> str:
        """Give the expression for an element of the panel that is shown."""
        return f"{PANEL}?.querySelector({json.dumps(selector)})"

    def dial(self, server: SshServer, account: Account, *, forget: bool = True) -> None:
        """Load the page by a link to an account, and connect.

        Args:
            server: where to.
            account: who.
            forget: whether to begin with an empty storage.
        """
        if forget:
            self.window.forget(self.url.rstrip("/"))
        self.open(f"#ssh/{account.name}@127.0.0.1:{server.port}")
        self.window.type(ENTER)

    def trust(self, server: SshServer) -> str:
        """Answer the question about an unknown host key; return the key that was shown."""
        self.wait_for_state("host-key")
        shown = str(self.window.value(f"{self.find('.fingerprint')}.textContent"))
        assert any(known in shown for known in server.fingerprints), shown
        self.press("Trust this key")
        return shown

    def reach(self, server: SshServer, account: Account) -> None:
        """Come to the form for signing in, as a new visitor."""
        self.dial(server, account)
        self.trust(server)
        self.wait_for_state("sign-in")

    def sign_in(self, password: str = "", *, key: Path | None = None, passphrase: str = "") -> None:
        """Fill in the form once it can be sent, and send it."""
        self.wait_for_form()
        if key is not None:
            self.choose("[name=key]", key)
            # It is read before it is listed.
            self.window.wait(f"{self.find('.key-files')}?.textContent.includes({json.dumps(key.name)})")
        if passphrase:
            self.window.wait(f"{self.find('[name=passphrase]')}?.checkVisibility()")
            self.fill("[name=passphrase]", passphrase)
        if password:
            self.fill("[name=password]", password)
        self.press("Sign in")

    def wait_for_form(self) -> None:
        """Wait until the server has said what it accepts, and the form can be sent."""
        note, submit = self.find(".sign-in-note"), self.find(".sign-in [type=submit]")
        self.window.wait(f"{note}?.textContent && {submit}.checkVisibility() && !{submit}.disabled")

    def log_in(self, server: SshServer, account: Account) -> None:
        """Come to a shell with the password, as a new visitor, and wait for its prompt."""
        self.reach(server, account)
        self.sign_in(account.password)
        self.wait_for_prompt()

    def wait_for_prompt(self) -> None:
        """Wait for a shell that has the keyboard."""
        self.wait_for_state("open")
        self.wait_for_screen(r"\$ ?$")
        self.window.wait("document.activeElement?.closest('.terminal')")

    def state(self) -> str:
        """Return the state of the panel."""
        return str(self.window.value(f"{PANEL}?.dataset.state ?? ''"))

    def wait_for_state(self, state: str, seconds: float = DEADLINE) -> None:
        """Wait until the panel has this state; fail at once when it can no longer come."""
        deadline = time.monotonic() + seconds
        while (now := self.state()) != state:
            text = self.window.value(f"{PANEL}?.innerText ?? document.body.innerText")
            still_possible = now != "failed" and time.monotonic() < deadline
            assert still_possible, f"{now!r} instead of {state!r}: {text}\n{self.window.log()}"
            time.sleep(0.03)

    def screen(self) -> str:
        """Return the text that the terminal shows."""
        rows = f"[...({self.find('.xterm-rows')}?.children ?? [])]"
        text = str(self.window.value(f"{rows}.map((row) => row.textContent.trimEnd()).join('\\n')"))
        return text.replace("\xa0", " ").rstrip()

    def wait_for_screen(self, pattern: str, seconds: float = DEADLINE) -> re.Match[str]:
        """Wait until what the terminal shows matches."""
        deadline = time.monotonic() + seconds
        while not (match := re.search(pattern, text := self.screen())):
            assert time.monotonic() < deadline, f"no {pattern!r} on the screen:\n{text}\n{self.state()}"
            time.sleep(0.05)
        return match

    def enter(self, line: str) -> None:
        """Type a line into the terminal."""
        self.window.type(line + ENTER)

    def press(self, label: str) -> None:
        """Click a button of the panel, or of the view, by its text or its name."""
        found = self.window.value(
            f"((found) => (found?.click(), found !== undefined))([...{PANEL}.querySelectorAll('button'), "
            "...document.querySelectorAll('#ssh button')].find((button) => button.checkVisibility() && "
            f"[button.textContent.trim(), button.ariaLabel].includes({json.dumps(label)})))"
        )
        assert found, f"no button {label}: {self.window.value('document.body.innerText')}"

    def fill(self, selector: str, text: str) -> None:
        """Replace what a field of the panel holds, as its user would."""
        self.window.value(f"{self.find(selector)}.focus(), {self.find(selector)}.select()")
        self.window.insert(text)

    def choose(self, selector: str, path: Path) -> None:
        """Choose a file."""
        chooser = self.window.command("Runtime.evaluate", expression=self.find(selector))
        object_id = chooser["result"]["objectId"]
        self.window.command("DOM.setFileInputFiles", files=[str(path)], objectId=object_id)

    def drop(self, selector: str, path: Path) -> None:
        """Drop a file on an element."""
        box = f"{self.find(selector)}.getBoundingClientRect()"
        x, y = self.window.value(f"[{box}.x + {box}.width / 2, {box}.y + {box}.height / 2]")
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.window.command("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def heap_bytes(self) -> int:
        """What the page's JavaScript has in memory."""
        heap = self.window.command("Runtime.getHeapUsage")
        return int(heap["usedSize"] + heap["backingStorageSize"] + heap["embedderHeapUsedSize"])

    def end(self) -> str:
        """Return how the session ended, once it has."""
        self.wait_for_state("ended")
        return str(self.window.value(f"{self.find('.ssh-end')}.textContent"))


def transferred(ssh: SshView, state: str) -> str:
    """Wait until the newest transfer has this state; return its text."""
    row = ssh.find(".transfers li:first-child")
    ended = f"['done', 'failed', 'cancelled'].includes({row}?.dataset.state)"
    ssh.window.wait(ended)
    text = str(ssh.window.value(f"{row}.textContent"))
    assert ssh.window.value(f"{row}.dataset.state") == state, text
    return text


def upload(ssh: SshView, path: Path, name: str) -> None:
    """Drop a file on the terminal, and say where it is to go."""
    ssh.drop(".terminal", path)
    ssh.window.wait(f"{ssh.find('.upload-question [name=destination]')}?.checkVisibility()")
    assert ssh.window.value(f"{ssh.find('.upload-question [name=destination]')}.value").endswith(path.name)
    ssh.fill(".upload-question [name=destination]", name)
    ssh.window.value(
        f"[...{ssh.find('.upload-question')}.querySelectorAll('button')]"
        ".find(({textContent}) => textContent === 'Upload').click()"
    )


def download(ssh: SshView, name: str) -> None:
    """Ask for a file."""
    ssh.press("Download")
    ssh.window.wait(f"{ssh.find('.download-question [name=source]')}?.checkVisibility()")
    ssh.fill(".download-question [name=source]", name)
    ssh.window.value(
        f"[...{ssh.find('.download-question')}.querySelectorAll('button')]"
        ".find(({textContent}) => textContent === 'Download').click()"
    )

"""The page in a real browser, against a gateway that has built it."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.e2e.backends import (
    Backend,
    MiB,
    backend,
    closed_port,
    digest,
    echo,
    send_and_close,
    send_until_lost,
    stream,
    wait_and_receive,
)
from tests.e2e.browser import KEYS, Browser, another_site
from tests.e2e.gateway import LOOPBACK, TWISTD, gateway_process
from tests.e2e.nginx import nginx
from tests.e2e.page import ENTER, TAB, Page, needs_page
from tests.e2e.support import until
from tests.e2e.wsclient import DEADLINE

pytestmark = [pytest.mark.slow, needs_page]


def ssh_server(server: Backend) -> None:
    """Identify itself like an SSH server."""
    server.connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    server.receive()


def test_console_with_the_keyboard_alone(page: Page) -> None:
    """Type a target, connect, send a line and hex, and read what comes back."""
    with backend(echo) as server:
        page.open()
        page.window.type(f"127.0.0.1:{server.port}{ENTER}")
        page.window.wait('document.activeElement?.placeholder === "A line to send"')
        page.window.type(f"ahoy{ENTER}")
        page.wait_for_text("ahoy↵\nahoy↵", ".output")
        page.window.type(f"{KEYS['ArrowUp']} again{ENTER}")
        page.wait_for_text("ahoy again↵\nahoy again↵", ".output")
        # Back over the output, which can be scrolled, to the choice of how it is shown.
        visited: list[str] = []
        while "mode" not in visited and len(visited) < 9:
            page.window.type(TAB, held=KEYS["Shift"])
            visited.append(
                page.window.value("document.activeElement.name || document.activeElement.className")
            )
        assert "output" in visited
        page.window.type(KEYS["ArrowRight"])
        page.wait_for_text("61 68 6f 79 0a", ".output")
        page.window.type(f"{TAB * 3}{ENTER}")
        page.wait_for_text("Disconnected")
        page.assert_nothing_foreign()


def test_lines_end_as_chosen_and_hex_is_sent_as_bytes(page: Page) -> None:
    """What is not hex is refused, and nothing of it is sent."""
    with backend(lambda server: server.receive()) as server:
        page.connect(server)
        page.window.wait('document.activeElement?.placeholder === "A line to send"')
        for ending, line in (("CRLF", "a"), ("CR", "b"), ("none", "c"), ("LF", "d")):
            choose(page, "Line ending", ending)
            page.window.type(f"{line}{ENTER}")
        page.wait_for_text("a⇤↵\nb⇤cd↵\n", ".output")
        choose(page, "What to send", "hex")
        page.window.type(f"4g{ENTER}")
        page.wait_for_text("Expected hex digits in pairs", ".sending")
        page.window.type(f"{KEYS['Backspace'] * 2}00 ff 0a{ENTER}")
        page.wait_for_text("⟨00⟩\ufffd↵", ".output")
        page.window.value("document.querySelector('[name=mode][value=hex]').click()")
        page.wait_for_text("61 0d 0a 62 0d 63 64 0a  00 ff 0a", ".output")
        page.wait_for_text("11 B", ".lane.up")
        page.click("End sending")
        server.wait_for_end()
        assert server.sha.digest() == hashlib.sha256(b"a\r\nb\rcd\n\x00\xff\n").digest()
        page.assert_nothing_foreign()


def test_recent_targets_are_kept_until_they_are_cleared(page: Page) -> None:
    """In this browser alone, and never the ticket."""
    page.open("#banner/first.invalid:22")
    page.window.value("localStorage.clear()")
    page.window.type(ENTER)
    page.open()
    page.wait_for_text("first.invalid:22", ".offers")
    assert page.window.value("JSON.stringify(Object.entries(localStorage))") == (
        '[["portofcall.recent","[\\"first.invalid:22\\"]"]]'
    )
    page.click("first.invalid:22")
    assert page.window.value("document.querySelector('#place').value") == "first.invalid:22"
    page.click("Clear")
    assert "first.invalid" not in page.window.value("document.querySelector('.offers').textContent")
    page.open()
    assert page.window.value("localStorage.length") == 0
    assert "Recent" not in page.window.value("document.querySelector('.offers').textContent")


def test_over_the_tls_of_the_gateway_itself(window: Browser, tmp_path: Path, certificate: Path) -> None:
    """Console and ping, without anything in front."""
    listen = ["--listen", "tls+tcp:0:interface=127.0.0.1", "--tls-cert", str(certificate)]
    window.command("Security.setIgnoreCertificateErrors", ignore=True)
    with gateway_process(tmp_path, *listen, *LOOPBACK) as gateway, backend(echo) as server:
        page = Page(window, f"https://127.0.0.1:{gateway.port}/")
        page.connect(server)
        page.window.type(f"ahoy{ENTER}")
        page.wait_for_text("ahoy↵\nahoy↵", ".output")
        page.click("Ping")
        page.wait_for_text("Loss0 %Sent2")
        page.assert_nothing_foreign()


def test_64_mib_down_with_a_checksum(page: Page, tmp_path: Path) -> None:
    """The last MiB is shown, everything is counted, and saved as it came."""
    folder = str(tmp_path)
    page.window.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
    with backend(send_and_close(64 * MiB)) as server:
        page.connect(server)
        page.wait_for_text("The service has sent its last byte")
        page.click("SHA-256")
        page.wait_for_text(f"SHA-256 of all 64.0 MiB: {digest(64 * MiB)}")
        shown = page.window.value('document.querySelector(".output").textContent.length')
        assert 0 < shown <= 2 * MiB
        page.click("Save received data")
        saved = tmp_path / f"127.0.0.1_{server.port}.bin"
        until(lambda: saved.is_file() and saved.stat().st_size == 64 * MiB)
        assert hashlib.sha256(saved.read_bytes()).hexdigest() == digest(64 * MiB)
        page.click("Disconnect")
        page.wait_for_text("Disconnected")
        page.assert_nothing_foreign()


def test_upload_of_a_file_and_the_end_of_sending(page: Page, tmp_path: Path) -> None:
    """The file arrives whole; then one direction ends and the other goes on."""
    path = tmp_path / "upload.bin"
    size = 48 * MiB
    with path.open("wb") as file:
        for piece in stream(size):
            file.write(piece)

    def receive_and_answer(server: Backend) -> None:
        server.receive()
        server.connection.sendall(b"thank you\n")

    with backend(receive_and_answer) as server:
        page.connect(server)
        choose_file(page, path)
        page.wait_for_text("48.0 MiB", ".lane.up")
        page.window.wait("!document.querySelector('.sending [type=submit]').disabled")
        page.click("End sending")
        page.wait_for_text("thank you")
        assert (server.received, server.sha.hexdigest()) == (size, digest(size))
        page.wait_for_text("closed", ".badge")
        page.assert_nothing_foreign()


def choose(page: Page, label: str, value: str) -> None:
    """Choose an option of the list with this label."""
    page.window.value(
        f"(list => {{ list.value = '{value}'; list.dispatchEvent(new Event('change')); }})"
        f"(document.querySelector('[aria-label=\"{label}\"]'))"
    )


def choose_file(page: Page, path: Path) -> None:
    """Send a file, as its user would choose it."""
    choose(page, "What to send", "file")
    document = page.window.command("DOM.getDocument")["root"]["nodeId"]
    chooser = page.window.command("DOM.querySelector", nodeId=document, selector="input[type=file]")
    page.window.command("DOM.setFileInputFiles", files=[str(path)], nodeId=chooser["nodeId"])
    page.click("Send")


def test_service_that_does_not_read_is_seen_and_cancelled(page: Page, tmp_path: Path) -> None:
    """The picture shows where bytes wait; cancelling acts while they wait, and says how much was sent."""
    path = tmp_path / "upload.bin"
    path.write_bytes(bytes(64 * MiB))
    with backend(wait_and_receive, receive_buffer=4096) as server:
        page.connect(server)
        choose_file(page, path)
        page.wait_for_text("the service does not read", ".lane.up")
        page.click("Cancel")
        page.wait_for_text("Cancelled: sent ", ".sending")
        page.wait_for_text(" KiB more wait in the browser", ".sending")
        choose(page, "What to send", "line")
        page.window.value("document.querySelector('.sending .mono').focus()")
        page.window.type(f"and a line{ENTER}")
        assert server.received == 0
        server.go.set()
        page.window.wait('document.querySelector(".output").textContent.includes("and a line")')
        page.click("Disconnect")
        server.wait_for_end()
        assert 0 < server.received < 64 * MiB


def test_upload_that_the_service_refuses_is_not_called_sent(page: Page, tmp_path: Path) -> None:
    """The page says how much was accepted, and why the tunnel is over."""
    path = tmp_path / "upload.bin"
    path.write_bytes(bytes(64 * MiB))

    def receive_some_and_reset(server: Backend) -> None:
        server.receive(MiB)
        server.reset()

    with backend(receive_some_and_reset) as server:
        page.connect(server)
        choose_file(page, path)
        page.wait_for_text("Not sent completely: ", ".sending")
        page.wait_for_text("backend-reset", ".failure")
        assert "was sent" not in page.window.value("document.body.textContent")


def test_browser_that_cannot_pause(page: Page, tmp_path: Path) -> None:
    """Without WebSocketStream lines and files go through, and unread data ends the tunnel in time."""
    path = tmp_path / "upload.bin"
    path.write_bytes(b"".join(stream(8 * MiB)))
    script = {"source": "delete globalThis.WebSocketStream"}
    added = page.window.command("Page.addScriptToEvaluateOnNewDocument", **script)
    try:
        with backend(lambda server: server.receive()) as server:
            page.connect(server)
            assert page.window.value("typeof WebSocketStream") == "undefined"
            choose_file(page, path)
            page.window.wait("!document.querySelector('.sending [type=submit]').disabled")
            page.click("End sending")
            server.wait_for_end()
            assert server.sha.hexdigest() == digest(8 * MiB)
        with backend(send_until_lost) as server:
            page.connect(server)
            page.click("Pause reading")
            page.wait_for_text("more than 64 MiB were not read in time", ".failure")
            page.wait_for_text("unread-overflow", ".failure")
            heap = page.window.command("Runtime.getHeapUsage")
            assert heap["usedSize"] + heap["backingStorageSize"] < 200 * MiB
        page.assert_nothing_foreign()
    finally:
        page.window.command("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])


def test_paused_page_pauses_the_service(page: Page) -> None:
    """Backpressure reaches from the button to the service's own socket."""
    with backend(send_until_lost) as server:
        page.connect(server)
        page.window.wait('document.querySelector(".lane.down strong").textContent.endsWith("MiB")')
        page.click("Pause reading")
        page.wait_for_text("the service has to wait", ".lane.down")
        before = -1
        while before != server.sent:
            before = server.sent
            page.window.value("new Promise(resolve => setTimeout(resolve, 500))")
        page.click("Resume reading")
        page.window.wait("!document.querySelector('.lane.down').textContent.includes('wait')")
        page.window.value("new Promise(resolve => setTimeout(resolve, 300))")
        assert server.sent > before
        page.click("Disconnect")


def test_flood_neither_fills_nor_freezes_the_tab(page: Page) -> None:
    """1 GiB: the heap stays small, and the keyboard is answered meanwhile."""
    with backend(send_and_close(1024 * MiB)) as server:
        page.connect(server)
        heaps: list[int] = []
        answers = 0
        while not page.window.value('document.querySelector("#view").textContent.includes("last byte")'):
            page.window.type("x")
            answers += 1
            assert page.window.value('document.querySelector(".sending .mono").value') == "x" * answers
            heap = page.window.command("Runtime.getHeapUsage")
            heaps.append(heap["usedSize"] + heap["backingStorageSize"] + heap["embedderHeapUsedSize"])
        assert max(heaps) < 200 * MiB, [heap // MiB for heap in heaps]
        assert answers > 5
        page.wait_for_text("1.00 GiB", ".lane.down")
        page.assert_nothing_foreign()


def test_command_that_is_copied_opens_the_same_tunnel(page: Page) -> None:
    """It is run as it is, in a shell."""
    origin = page.url.rstrip("/")
    page.window.command("Browser.grantPermissions", origin=origin, permissions=["clipboardReadWrite"])
    with backend(echo) as server:
        page.connect(server)
        page.click("Copy as command")
        page.window.wait("document.activeElement && navigator.clipboard.readText()")
        command = page.window.value("navigator.clipboard.readText()")
        page.click("Disconnect")
    assert (
        command == f"portofcall connect ws://127.0.0.1:{page.url.split(':')[2][:-1]} 127.0.0.1 {server.port}"
    )
    with backend(echo) as server:
        arguments = [*command.split()[1:-1], str(server.port)]
        run = [str(TWISTD.with_name("portofcall")), *arguments]
        done = subprocess.run(run, input=b"ahoy", capture_output=True, timeout=DEADLINE, check=True)
    assert done.stdout == b"ahoy"


def test_first_paint_is_small_and_the_console_is_loaded_when_it_is_wanted(page: Page) -> None:
    """60 KB compressed for field, ping and banner; 40 KB more for the console with its chart."""
    loaded = (
        "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        ".reduce((sum, {encodedBodySize}) => sum + encodedBodySize, 0)"
    )
    with backend(echo) as server:
        page.open(f"#tcp/127.0.0.1:{server.port}")
        first = page.window.value(loaded)
        page.window.type(ENTER)
        page.window.wait('document.querySelector(".chart canvas")')
        assert 1000 < first < 60_000
        assert first < page.window.value(loaded) < first + 40_000
        page.click("Disconnect")


def test_banner(page: Page) -> None:
    """The fields of the API."""
    with backend(ssh_server) as server:
        page.open(f"#banner/127.0.0.1:{server.port}")
        page.window.type(ENTER)
        text = page.wait_for_text("OpenSSH_9.2p1")
        assert "SSH-2.0-OpenSSH_9.2p1 Debian-2" in text
        page.assert_nothing_foreign()


def test_links_fill_the_field_and_connect_nothing(page: Page) -> None:
    """A page of another site can't make a visitor's gateway dial."""
    for link in ("#tcp/127.0.0.1:1", "#ssh/127.0.0.1:1", "ping/127.0.0.1:1", "ssh/127.0.0.1:1"):
        page.open(link)
        assert page.window.value('document.querySelector("#place").value') == "127.0.0.1:1"
        assert page.window.value('document.querySelector("#view").hidden')
        page.assert_nothing_foreign()


@pytest.mark.parametrize(
    ("action", "target", "sentence"),
    [
        ("tcp", "10.0.0.1:22", "--allow 10.0.0.1:22"),
        ("ping", "10.0.0.1:22", "--allow 10.0.0.1:22"),
        ("ssh", "10.0.0.1", "--allow 10.0.0.1:22"),
        ("tcp", "no-such-target", "no target no-such-target"),
        ("tcp", "refused", "no service listens on that port"),
    ],
)
def test_failure_says_what_to_do(page: Page, action: str, target: str, sentence: str) -> None:
    """The sentence, its name, and an option where one would help; never 1006."""
    if target == "refused":
        target = f"127.0.0.1:{closed_port()}"
    page.open(f"#{action}/{target}")
    page.window.type(ENTER)
    text = page.wait_for_text(sentence, ".failure")
    assert "1006" not in text


def test_demo_backends_are_one_click_away(window: Browser, tmp_path: Path) -> None:
    """With a line on what each does; named targets are offered, too."""
    with gateway_process(tmp_path, "--demo") as gateway:
        page = Page(window, f"http://127.0.0.1:{gateway.port}/")
        page.open()
        page.wait_for_text("sends back what you send", ".offers")
        page.window.value("document.querySelector('.card').click()")
        page.window.wait('document.activeElement?.placeholder === "A line to send"')
        page.window.type(f"ahoy{ENTER}")
        page.wait_for_text("ahoy↵\nahoy↵", ".output")
        page.click("Disconnect")
    with backend(echo) as server:
        place = f"harbour=127.0.0.1:{server.port}"
        with gateway_process(tmp_path, "--target", place) as gateway:
            page = Page(window, f"http://127.0.0.1:{gateway.port}/")
            page.open()
            page.wait_for_text("harbour", ".offers")
            page.click("harbour")
            page.window.type(ENTER)
            page.window.wait('document.activeElement?.placeholder === "A line to send"')
            page.window.type(f"ahoy{ENTER}")
            page.wait_for_text("ahoy↵\nahoy↵", ".output")
            page.click("Disconnect")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screens_and_accessibility(window: Browser, tmp_path: Path, scheme: str) -> None:
    """At 360 pixels nothing is cut off, and axe-core finds no serious violation in any view."""
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    window.command("Emulation.setEmulatedMedia", features=features)
    window.command(
        "Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True
    )
    try:
        with gateway_process(tmp_path, "--demo") as gateway:
            page = Page(window, f"http://127.0.0.1:{gateway.port}/")
            echoing = gateway.wait_for_log(r"demo echo on (\S+),")[1]
            for link, ready in (
                ("", ".card"),
                (f"#tcp/{echoing}", ".sending"),
                (f"#ping/{echoing}", ".figures"),
                (f"#banner/{echoing}", ".hint"),
                ("#tcp/10.0.0.1:22", ".failure"),
            ):
                page.open(link)
                window.wait("document.querySelector('.card')")
                if link:
                    window.type(ENTER)
                window.wait(f"document.querySelector('main {ready}')")
                width = "document.documentElement.scrollWidth"
                assert window.value(width) <= 360, link
                # Text of twice the size.
                window.value("document.documentElement.style.fontSize = '200%'; undefined")
                assert window.value(width) <= 360, f"{link} at 200 %"
                window.value("document.documentElement.style.fontSize = ''; undefined")
                found = page.serious_violations()
                assert found == [], (link, found)
                if link.startswith("#tcp/127"):
                    page.click("Disconnect")
                page.assert_nothing_foreign()
    finally:
        window.command("Emulation.clearDeviceMetricsOverride")
        window.command("Emulation.setEmulatedMedia", features=[])


#: A page of another origin that imports the module, and sends and reads through it.
IMPORTS = """
(async () => {{
  const {{open, TunnelError}} = await import("{gateway}static/portofcall.js");
  const tunnel = await open("{gateway}", "127.0.0.1", {port});
  const writer = tunnel.writable.getWriter();
  await writer.write(new TextEncoder().encode("ahoy"));
  await writer.close();
  const text = await new Response(tunnel.readable).text();
  const end = await tunnel.closed;
  const refused = await open("{gateway}", "10.0.0.1", 22);
  const error = await refused.closed.catch((error) => error);
  const known = error instanceof TunnelError;
  return [text, end.code, tunnel.halfClose, known, error.code, error.slug, error.reason];
}})()
"""


@pytest.mark.parametrize("without", ["", "delete globalThis.WebSocketStream; "])
def test_module_in_a_page_of_another_origin(window: Browser, tmp_path: Path, without: str) -> None:
    """With ``--origin``, in browsers with WebSocketStream and without."""
    with another_site() as site, gateway_process(tmp_path, *LOOPBACK, "--origin", site) as gateway:
        window.open(f"{site}/")
        with backend(echo) as server:
            script = IMPORTS.format(gateway=f"http://127.0.0.1:{gateway.port}/", port=server.port)
            text, code, *rest = window.value(f"{without}{script}")
        assert (text, code) == ("ahoy", 1000)
        assert rest[:4] == [True, True, 4403, "blocked"]
        assert rest[4].startswith("10.0.0.1 is private")


def test_over_tls_below_a_path_of_nginx(window: Browser, tmp_path: Path, certificate: Path) -> None:
    """Console and ping; every address is relative."""
    with (
        gateway_process(tmp_path, *LOOPBACK, "--trust-forwarded", "127.0.0.1", "--no-auth") as gateway,
        nginx(tmp_path, gateway, certificate) as url,
    ):
        window.command("Security.setIgnoreCertificateErrors", ignore=True)
        page = Page(window, url)
        with backend(echo) as server:
            page.connect(server)
            page.window.type(f"ahoy{ENTER}")
            page.wait_for_text("ahoy↵\nahoy↵", ".output")
            page.click("Disconnect")
            page.wait_for_text("Disconnected")
        page.assert_nothing_foreign()
        page.open("ssh/10.0.0.1")
        page.window.type(ENTER)
        page.wait_for_text("--allow 10.0.0.1:22", ".failure")

"""The page where credentials are required: tickets, passwords, and a sign-in in front of the gateway."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.backends import backend, echo
from tests.e2e.browser import Browser
from tests.e2e.gateway import LOOPBACK, TWISTD, GatewayProcess, gateway_process
from tests.e2e.nginx import nginx
from tests.e2e.page import ENTER, Page, needs_page
from tests.e2e.wsclient import DEADLINE

pytestmark = [pytest.mark.slow, needs_page]


@contextmanager
def ticket_gateway(folder: Path, *options: str) -> Iterator[tuple[GatewayProcess, str]]:
    """Run a gateway that requires tickets; give it and a ticket."""
    key = folder / "key"
    key.write_text("an-example-secret-of-more-than-32-bytes")
    command = [str(TWISTD.with_name("portofcall")), "ticket", "--key", str(key)]
    ticket = subprocess.run(command, capture_output=True, check=True, text=True, timeout=DEADLINE).stdout
    with gateway_process(folder, *(options or LOOPBACK), "--ticket-key", str(key)) as gateway:
        yield gateway, ticket.strip()


def test_ticket_from_a_link(window: Browser, tmp_path: Path) -> None:
    """It is refused without; the ticket is in no URL, no storage and no log."""
    with ticket_gateway(tmp_path) as (gateway, ticket):
        page = Page(window, f"http://127.0.0.1:{gateway.port}/")
        with backend(echo) as server:
            page.open(f"#tcp/127.0.0.1:{server.port}")
            page.window.type(ENTER)
            page.wait_for_text("Enter a ticket", ".failure")
            page.open(f"#tcp/127.0.0.1:{server.port}&ticket={ticket}")
            assert ticket not in page.window.value("location.href + JSON.stringify(localStorage)")
            page.window.type(ENTER)
            page.window.wait('document.activeElement?.placeholder === "A line to send"')
            page.window.type(f"ahoy{ENTER}")
            page.wait_for_text("ahoy↵\nahoy↵", ".output")
            page.click("Disconnect")
        names = page.window.value('performance.getEntriesByType("resource").map(({name}) => name)')
        assert not any(ticket in name for name in names)
        assert ticket[:30] not in gateway.log


#: The gateway responds to the first request for the targets after the second one.
SLOW_TARGETS = """
const ask = globalThis.fetch;
let asked = 0;
globalThis.fetch = async (url, ...rest) => {
  if (!String(url).endsWith("api/targets")) return ask(url, ...rest);
  const number = ++asked;
  if (number === 1) await new Promise((resolve) => (globalThis.answerFirst = resolve));
  return Response.json({targets: [`answer-${number}`], suggestions: []});
};
"""


def test_targets_are_those_of_the_newest_ticket(page: Page) -> None:
    """A slow response to an earlier request does not take their place."""
    script = page.window.command("Page.addScriptToEvaluateOnNewDocument", source=SLOW_TARGETS)["identifier"]
    page.open()
    page.window.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    page.click("Ticket")
    page.window.insert("abc")
    page.window.type(ENTER)
    page.wait_for_text("answer-2", "#offers")
    page.window.value("answerFirst(), new Promise((resolve) => setTimeout(resolve, 100))")
    assert "answer-1" not in page.wait_for_text("answer-2", "#offers")


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("#tcp/h.example:1?ticket={}", "h.example:1"),
        ("ping/h.example:1?ticket={}", "h.example:1"),
        ("#tcp/h.example:1%3Fticket={}", ""),
        ("#tcp/h.example:1&more=x&ticket={}", ""),
        ("#ticket={}", ""),
    ],
)
def test_ticket_leaves_the_address_bar(page: Page, link: str, place: str) -> None:
    """Also where the link has a mistake; it never gets into the field or the recent targets."""
    page.open(link.format("a.secret.x"))
    assert page.window.value("document.querySelector('#place').value") == place
    assert page.window.value("document.querySelector('#place-error').hidden") is bool(place)
    page.window.type(ENTER)
    page.window.wait("document.querySelector('.failure, .field-error:not([hidden])')")
    kept = page.window.value("location.href + document.body.innerHTML + JSON.stringify(localStorage)")
    assert "secret" not in kept


def test_ticket_of_a_link_replaces_none_that_was_typed(window: Browser, tmp_path: Path) -> None:
    """A page of another site could otherwise make a visitor act under its own ticket; offers follow it."""
    with ticket_gateway(tmp_path, "--target", "harbour=127.0.0.1:9") as (gateway, ticket):
        page = Page(window, f"http://127.0.0.1:{gateway.port}/")
        page.open()
        page.wait_for_text("asks for credentials", ".offers")
        page.click("Ticket")
        page.window.type(f"not a ticket{ENTER}")
        page.wait_for_text("letters, digits", "#ticket-note")
        page.window.value("document.querySelector('#ticket').value = ''")
        page.window.type(f"typed.ticket{ENTER}")
        page.wait_for_text("asks for credentials", ".offers")
        page.window.value(f"location.hash = '#tcp/harbour&ticket={ticket}'; undefined")
        page.wait_for_text("is kept", "#ticket-note")
        assert page.window.value("document.querySelector('#ticket').value") == "typed.ticket"
        assert ticket not in page.window.value("location.href")
        page.click("Use the link's")
        page.wait_for_text("harbour", ".offers")
        page.open()
        page.wait_for_text("asks for credentials", ".offers")
        # Without one in the field, the link's is used, and the offers are asked for again.
        page.window.value(f"location.hash = '#tcp/harbour&ticket={ticket}'; undefined")
        page.wait_for_text("Targets", ".offers")
        page.wait_for_text("Ticket set", "#ticket-toggle")


def test_basic_authentication(window: Browser, tmp_path: Path) -> None:
    """The browser's own: once it has the password, everything is done with it, also after a reload."""
    passwords = tmp_path / "passwords"
    passwords.write_text("ada:lovelace\n")
    with (
        backend(echo) as server,
        gateway_process(
            tmp_path, "--target", f"harbour=127.0.0.1:{server.port}", "--auth", f"file:{passwords}"
        ) as gateway,
    ):
        window.open("about:blank")
        window.open(f"http://ada:lovelace@127.0.0.1:{gateway.port}/api/targets")
        page = Page(window, f"http://127.0.0.1:{gateway.port}/")
        page.open()
        # Without a click the page uses no password, so that the browser prompts for none.
        page.wait_for_text("asks for credentials", ".offers")
        page.click("Sign in")
        page.wait_for_text("harbour", ".offers")
        page.open("#tcp/harbour")
        page.wait_for_text("harbour", ".offers")
        page.window.type(ENTER)
        page.window.wait('document.activeElement?.placeholder === "A line to send"')
        page.window.type(f"ahoy{ENTER}")
        page.wait_for_text("ahoy↵\nahoy↵", ".output")
        page.click("Disconnect")
        page.wait_for_text("Disconnected")
        page.assert_nothing_foreign()


def test_sign_in_in_front_of_the_gateway(window: Browser, tmp_path: Path, certificate: Path) -> None:
    """A proxy asks for a cookie: offers are shown with it, and an expired sign-in is named."""
    rule = 'if ($cookie_session != "yes") { return 302 https://sign-in.example/; }'
    with (
        gateway_process(
            tmp_path, "--target", "harbour=127.0.0.1:9", "--trust-forwarded", "127.0.0.1", "--no-auth"
        ) as gateway,
        nginx(tmp_path, gateway, certificate, rule) as url,
    ):
        window.command("Security.setIgnoreCertificateErrors", ignore=True)
        window.command("Network.setCookie", url=url, name="session", value="yes")
        page = Page(window, url)
        page.open("#banner/harbour")
        page.wait_for_text("harbour", ".offers")
        page.assert_nothing_foreign()
        window.command("Network.deleteCookies", url=url, name="session")
        page.window.type(ENTER)
        text = page.wait_for_text("redirected", ".failure")
        assert "sign in again" in text
        page.click("Console")
        page.wait_for_text("Reload the page", ".failure")
        page.wait_for_text("page-outdated", ".failure")

"""The sources of the page know what the gateway can report."""

import re
from pathlib import Path

from portofcall import web
from portofcall.errors import GatewayError
from tests.support import leaves

SOURCES = Path(web.__file__).with_name("page") / "src"
CLOSE_CODES = Path(__file__).parents[2] / "docs" / "protocol.md"

#: Errors that no request of the page can cause, by its fields, headers, methods and sizes.
NEVER_BY_REQUEST = {
    "busy",
    "invalid-field", "invalid-request", "invalid-header", "method-not-allowed", "body-too-large",
    "head-too-large", "upgrade-required", "unknown-token",
}  # fmt: skip
#: Ends of a tunnel that the page can't cause: its only text is eof, nothing follows that, a page's Close
#: frame is answered at once, and it asks with no token.
NEVER_BY_TUNNEL = {"after-eof", "unknown-message", "grace-over", "unknown-token"}


def advised() -> set[str]:
    """Return the slugs that the page has advice for."""
    text = (SOURCES / "page" / "failure.ts").read_text("utf-8")
    table = text.partition("ADVICE:")[2].partition("\n};")[0]
    return set(re.findall(r'^  "([a-z0-9-]+)":', table, re.MULTILINE))


def of_the_page() -> set[str]:
    """Return the slugs that the page and ``portofcall.js`` use themselves."""
    slugs: set[str] = set()
    for path in (*(SOURCES / "page").glob("*.ts"), *(SOURCES / "client").glob("*.ts")):
        text = path.read_text("utf-8")
        slugs |= set(re.findall(r'slug: "([a-z0-9-]+)"', text))
        slugs |= set(re.findall(r'new TunnelError\(\d+, "([a-z0-9-]+)"', text))
    text = (SOURCES / "client" / "errors.ts").read_text("utf-8")
    return slugs | set(re.findall(r'^  \d+: "([a-z0-9-]+)"', text, re.MULTILINE)) | {"closed", "http-error"}


def of_tunnels() -> set[str]:
    """Return the slugs of Close frames, as documented."""
    text = CLOSE_CODES.read_text("utf-8").partition("### Close codes")[2].partition("\n### ")[0]
    return set(re.findall(r"^\| \d{4} \| `([a-z-]+)`", text, re.MULTILINE))


def test_page_has_advice_for_whatever_it_can_meet() -> None:
    """A closed set: a new error needs advice, or a reason why the page can't meet it."""
    gateway = {leaf.slug for leaf in leaves(GatewayError)}
    assert "blocked" in of_tunnels()
    assert "connection-lost" in of_the_page()
    met = (gateway - NEVER_BY_REQUEST) | (of_tunnels() - NEVER_BY_TUNNEL) | of_the_page()
    assert advised() == met


def test_exceptions_exist() -> None:
    """A slug that is gone is no exception, either."""
    assert {leaf.slug for leaf in leaves(GatewayError)} >= NEVER_BY_REQUEST
    assert of_tunnels() >= NEVER_BY_TUNNEL

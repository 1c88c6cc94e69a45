"""Which origins are allowed, and which hosts."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.access.client_address import parse_network
from portofcall.access.origin import judge_host, judge_origin, parse_origin
from portofcall.errors import InvalidHeader, OriginRefused

HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True) | st.ip_addresses(v=6).map(
    lambda address: f"[{address}]"
)
#: Header values that come close to origins, and values that do not.
WILD_BYTES = st.one_of(
    st.binary(max_size=600),
    st.from_regex(rb"[a-zA-Z]{0,6}:?/{0,3}[a-z0-9@.:\[\]_/?#,% \x85\x0b-]{0,40}", fullmatch=True),
)


def judge(
    origin: str, host: str = "gw.example", *, scheme: str | None = None, allowed: tuple[str, ...] = ()
) -> None:
    """Judge one Origin against one Host."""
    origins = frozenset(parse_origin(text) for text in allowed)
    judge_origin([origin.encode()], [host.encode()], scheme=scheme, allowed=origins)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Pages.Example", "https://pages.example"),
        ("HTTPS://pages.example:443", "https://pages.example"),
        ("http://pages.example:080", "http://pages.example"),
        ("http://pages.example:443", "http://pages.example:443"),
        ("http://[2001:DB8:0::1]:8080", "http://[2001:db8::1]:8080"),
        ("http://my_service", "http://my_service"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        ("app://local:80", "app://local:80"),
    ],
)
def test_every_spelling_of_an_origin_becomes_one(text: str, origin: str) -> None:
    """Capitals, zeros and the default port do not make another origin."""
    assert parse_origin(text) == origin
    assert parse_origin(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "pages.example",
        "https://",
        "https://pages.example/",
        "https://pages.example/app",
        "https://pages.example?x",
        "https://pages.example#x",
        "https://me:secret@pages.example",
        "https://pages.example:",
        "https://pages.example:0",
        "https://pages.example:65536",
        "https://*.example",
        "https://a.example https://b.example",
        "https://[::1",
        "https://[1.2.3.4]",
        "https://[::1%eth0]",
        "https://bücher.example",
        "\u017fftp://a.example",
        "https://" + "a" * 600,
    ],
)
def test_invalid_origin_is_an_error_that_does_not_repeat_it(text: str) -> None:
    """An operator who pastes a URL with a password does not find it in the error."""
    with pytest.raises(ValueError, match="expected an origin") as caught:
        parse_origin(text)
    assert "secret" not in str(caught.value)


@given(HOSTS, st.none() | st.integers(1, 65535), st.sampled_from(["http", "https", "ws", "app"]))
def test_a_parsed_origin_parses_to_itself(host: str, port: int | None, scheme: str) -> None:
    """There is one spelling."""
    origin = parse_origin(f"{scheme}://{host}" + (f":{port}" if port else ""))
    assert parse_origin(origin.upper()) == parse_origin(origin) == origin


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://gw.example", "gw.example", "http"),
        ("http://gw.example", "GW.example:80", "http"),
        ("https://gw.example", "gw.example:443", "https"),
        ("https://gw.example:443", "gw.example", "https"),
        ("http://localhost:8080", "localhost:8080", None),
        ("https://gw.example", "gw.example", None),
        ("https://gw.example:8443", "gw.example:8443", None),
        ("http://[::1]:8080", "[0:0::1]:8080", None),
    ],
)
def test_the_gateways_own_origin_is_allowed(origin: str, host: str, scheme: str | None) -> None:
    """Also behind a proxy that ends TLS, with nothing configured."""
    judge(origin, host, scheme=scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://evil.example", "gw.example", None),
        ("http://gw.example.evil.example", "gw.example", None),
        ("http://evil.example.gw.example", "gw.example", None),
        ("http://gw.example:8080", "gw.example", None),
        ("http://gw.example", "gw.example:8080", None),
        ("https://gw.example", "gw.example:80", None),
        ("http://gw.example", "gw.example:443", None),
        ("http://gw.example", "gw.example", "https"),
        ("https://gw.example", "gw.example", "http"),
        ("app://gw.example", "gw.example", None),
        ("http://localhost:8080", "127.0.0.1:8080", None),
        ("null", "null", None),
    ],
)
def test_cross_origin_pages_are_refused(origin: str, host: str, scheme: str | None) -> None:
    """Another host, port or known scheme is another origin, and so is a page that has none."""
    with pytest.raises(OriginRefused):
        judge(origin, host, scheme=scheme)


def test_further_origins_are_allowed_exactly() -> None:
    """A listed origin is allowed whatever the gateway's Host is; similar origins are not."""
    allowed = ("https://Pages.example:443", "http://localhost:3000", "chrome-extension://abc")
    for origin in ("https://pages.example", "https://PAGES.example:443", "chrome-extension://abc"):
        judge(origin, scheme="http", allowed=allowed)
    for origin in ("http://pages.example", "https://a.pages.example", "http://localhost:3001", "null"):
        with pytest.raises(OriginRefused):
            judge(origin, allowed=allowed)


def test_null_can_not_be_allowed() -> None:
    """It is the origin of every sandboxed page."""
    with pytest.raises(OriginRefused):
        judge_origin([b"null"], [b"gw"], scheme=None, allowed=frozenset({"null"}))


def test_a_client_that_is_not_a_page_is_allowed() -> None:
    """It sends no Origin, which no page can leave out."""
    judge_origin([], [], scheme=None, allowed=frozenset())


@pytest.mark.parametrize(
    ("origins", "hosts", "name"),
    [
        ([b"http://gw", b"http://gw"], [b"gw"], "Origin"),
        ([b"http://gw, http://gw"], [b"gw"], "Origin"),
        ([b"http://gw http://gw"], [b"gw"], "Origin"),
        ([b""], [b"gw"], "Origin"),
        ([b"NULL"], [b"gw"], "Origin"),
        ([b"http://gw/"], [b"gw"], "Origin"),
        ([b"http://gw\x85Origin: http://evil"], [b"gw"], "Origin"),
        ([b"http://gw\x0b"], [b"gw"], "Origin"),
        ([b"http://gw\t"], [b"gw"], "Origin"),
        ([b"http://gw\xe9"], [b"gw"], "Origin"),
        ([b"http://gw"], [], "Host"),
        ([b"http://gw"], [b"gw", b"gw"], "Host"),
        ([b"http://gw"], [b""], "Host"),
        ([b"http://gw"], [b"user@gw"], "Host"),
        ([b"http://gw"], [b"gw/path"], "Host"),
        ([b"http://gw"], [b"gw:99999"], "Host"),
        ([b"http://gw"], [b"gw\xff"], "Host"),
    ],
)
def test_broken_headers_are_named(origins: list[bytes], hosts: list[bytes], name: str) -> None:
    """A header that no browser sends is a bad request, and the error names it."""
    with pytest.raises(InvalidHeader, match=f"^{name} must "):
        judge_origin(origins, hosts, scheme=None, allowed=frozenset())


@given(st.lists(WILD_BYTES, max_size=2), st.lists(WILD_BYTES, max_size=2), st.sampled_from([None, "https"]))
def test_no_header_breaks_the_judgement(origins: list[bytes], hosts: list[bytes], scheme: str | None) -> None:
    """Whatever is sent is accepted or refused, by one of the two documented errors."""
    with suppress(InvalidHeader, OriginRefused):
        judge_origin(origins, hosts, scheme=scheme, allowed=frozenset({"https://pages.example"}))


@given(st.text(max_size=600))
def test_no_option_breaks_the_parsers(text: str) -> None:
    """An operator's slip is a ValueError."""
    for parse in (parse_origin, parse_network):
        with suppress(ValueError):
            parse(text)


@pytest.mark.parametrize(
    ("host", "local", "port", "secure", "refused"),
    [
        ("evil.example:8080", "127.0.0.1", 8080, False, True),
        ("EVIL.example:8080", "::1", 8080, False, True),
        ("evil.example", "127.0.0.1", 80, False, True),
        ("evil.example", "127.0.0.1", 443, True, True),
        ("evil.example:80", "::ffff:127.0.0.1", 80, False, True),
        ("localhost:8080", "127.0.0.1", 8080, False, False),
        ("app.localhost:8080", "127.0.0.1", 8080, False, False),
        ("127.0.0.1:8080", "127.0.0.1", 8080, False, False),
        ("[::1]:8080", "::1", 8080, False, False),
        ("pages.example:8080", "127.0.0.1", 8080, False, False),
        ("gateway.example", "127.0.0.1", 8080, False, False),
        ("gateway.example:443", "127.0.0.1", 8080, False, False),
        ("gateway.example:8080", "192.0.2.1", 8080, False, False),
        ("gateway.example", None, None, False, False),
    ],
)
def test_name_that_was_rebound_to_loopback_is_refused(
    host: str, local: str | None, port: int | None, secure: bool, refused: bool
) -> None:
    """Unless it is known for this host, allowed, or that of a proxy, which has a port of its own."""
    allowed = frozenset({"http://pages.example:8080"})
    if not refused:
        judge_host([host.encode()], local=local, port=port, secure=secure, allowed=allowed)
        return
    with pytest.raises(OriginRefused, match="not a known name of this host; allow it with --origin"):
        judge_host([host.encode()], local=local, port=port, secure=secure, allowed=allowed)

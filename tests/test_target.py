"""Targets: valid spellings, and the canonical one that they become."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.errors import MAX_REASON_BYTES, InvalidTarget
from portofcall.target import Address, Target, TargetName, destination, parse_host, unmapped

PORTS = st.integers(1, 65535)
LABELS, LAST_LABELS = (
    st.from_regex(pattern, fullmatch=True).filter(lambda text: text[:4] != "xn--")
    for pattern in (r"[a-z_]([a-z0-9_-]{0,20}[a-z0-9_])?", r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?")
)
NAMES = st.tuples(st.lists(LABELS, max_size=5), LAST_LABELS).map(lambda pair: ".".join([*pair[0], pair[1]]))
ADDRESSES = st.ip_addresses().map(str)
#: Text that comes close to hosts and ports, and text that does not.
WILD_TEXT = st.one_of(
    st.text(),
    st.text("0123456789abcdefx.:-[]%/@ \0\r\n。１①ßé\u200d\u00ad", max_size=80),
    st.from_regex(r"xn--[a-z0-9-]{0,60}(\.xn--[a-z0-9]{1,20})?", fullmatch=True),
    st.from_regex(r"\[?[0-9a-f:.]{1,45}\]?(%[a-z0-9]*)?", fullmatch=True),
)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.com", "example.com"),
        ("Example.COM.", "example.com"),
        ("localhost", "localhost"),
        ("1.2.3.4.example", "1.2.3.4.example"),
        ("_ldap._TCP.db_1.example", "_ldap._tcp.db_1.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[2001:DB8:0:0::1]", "2001:db8::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::ffff:1.2.3.4", str(IPv6Address("::ffff:1.2.3.4"))),
    ],
)
def test_every_spelling_of_a_host_becomes_the_canonical_one(text: str, host: str) -> None:
    """Capitals, Unicode, a trailing dot, brackets and zeros do not make another host."""
    assert parse_host(text) == host
    assert Target.parse(text, 22) == Target(host, 22)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", "got nothing"),
        ("a" * 5000, "at most 253 characters"),
        ("127.1", "four decimal numbers"),
        ("example." * 20 + "1", "a name that ends in no number"),
        ("256.1.1.1", "numbers up to 255"),
        ("fe80::1%eth0", "without zone"),
        ("[::1", "IPv6 address"),
        ("a-" * 100, "letters, digits, _ or inner hyphens"),
        ("a$b.example", "letters, digits, _ or inner hyphens"),
        ("-a.example", "letters, digits, _ or inner hyphens"),
        ("example.a_b", "a last label of letters, digits, inner hyphens"),
        ("a" * 30 + "_", "a last label of letters, digits, inner hyphens"),
        (".".join(["a" * 60] * 5), "at most 253 characters"),
        ("127。0。0。1", "IDNA 2008"),
        ("xn--localhost-", "IDNA 2008"),
    ],
)
def test_an_invalid_host_is_explained_by_field_and_expectation(host: str, expected: str) -> None:
    """The sentence names the field and the expected form, and it fits in a Close frame."""
    with pytest.raises(InvalidTarget) as caught:
        Target.parse(host, 22)
    assert caught.value.sentence.startswith("host: expected ")
    assert expected in caught.value.sentence
    assert caught.value.close_reason.endswith(caught.value.sentence)


@pytest.mark.parametrize("port", ["", "0", "65536", "+22", " 22", "22\n", "٢٢", "ssh", "000022", "2_2"])
def test_an_invalid_port_text_is_explained_with_what_was_sent(port: str) -> None:
    """The sentence says that it is the port, and shows the text in safe characters."""
    with pytest.raises(InvalidTarget, match=r"^port: expected 1 to 65535 in digits, got ") as caught:
        Target.parse("example.com", port)
    assert caught.value.sentence.isascii()
    assert caught.value.sentence.isprintable()


@pytest.mark.parametrize("port", [0, -1, 65536, 70000, pytest.param(10**5000, id="10**5000"), True, False])
def test_an_invalid_port_number_is_refused(port: int) -> None:
    """Numbers outside of 1 to 65535 and booleans are no ports, however large."""
    with pytest.raises(InvalidTarget, match=r"^port: expected a whole number from 1 to 65535$"):
        Target.parse("example.com", port)


@pytest.mark.parametrize(
    ("port", "number"), [("1", 1), ("22", 22), ("00022", 22), ("65535", 65535), (22, 22)]
)
def test_a_port_may_be_text_or_number(port: str | int, number: int) -> None:
    """A port from a path and a port from JSON are the same port."""
    assert Target.parse("example.com", port).port == number


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", IPv4Address("127.0.0.1")),
        ("[::1]", IPv6Address("::1")),
        ("::ffff:1.2.3.4", IPv6Address("::ffff:1.2.3.4")),
        ("example.com", None),
        ("1.2.3.4.example", None),
        ("cafe", None),
    ],
)
def test_the_address_of_a_target_is_the_literal_or_none(host: str, address: Address | None) -> None:
    """Only a literal has an address; an IPv4-mapped one stays IPv6."""
    assert Target.parse(host, 22).address == address


@pytest.mark.parametrize(
    ("address", "end"),
    [
        ("::ffff:93.184.216.34", "93.184.216.34"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("::ffff:0.0.0.0", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("64:ff9b::10.0.0.1", "64:ff9b::a00:1"),
        ("2606:2800::1", "2606:2800::1"),
    ],
)
def test_destination_is_where_a_connection_ends(address: str, end: str) -> None:
    """An IPv4-mapped address is its IPv4 address, and an unspecified one is loopback."""
    assert str(destination(ip_address(address))) == end


@pytest.mark.parametrize(
    ("address", "plain"),
    [("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"), ("::", "::"), ("0.0.0.0", "0.0.0.0")],
)
def test_unmapped_changes_only_mapped_addresses(address: str, plain: str) -> None:
    """An unspecified address stays what it is: a listener on it has all addresses."""
    assert str(unmapped(ip_address(address))) == plain


def test_a_printed_ipv6_target_has_brackets() -> None:
    """Host and port can be told apart in what is printed."""
    assert str(Target.parse("2001:db8::1", 22)) == "[2001:db8::1]:22"
    assert str(Target.parse("example.com.", "80")) == "example.com:80"


@given(st.one_of(NAMES, ADDRESSES), PORTS)
def test_parsing_a_printed_target_gives_the_same_target(host: str, port: int) -> None:
    """What a log line shows can be sent again and means the same."""
    target = Target.parse(host, port)
    printed_host, _, printed_port = str(target).rpartition(":")
    assert Target.parse(printed_host, printed_port) == target


@given(WILD_TEXT, st.one_of(WILD_TEXT, st.integers()))
def test_any_text_is_a_target_or_invalid(host: str, port: str | int) -> None:
    """Nothing that a client sends raises anything else, and a target is canonical ASCII once and for all."""
    try:
        target = Target.parse(host, port)
    except InvalidTarget as error:
        told = f"{error.slug}: {error.sentence}"
    else:
        told = str(target)[:MAX_REASON_BYTES]
        assert target.host == target.host.lower()
        assert parse_host(target.host) == target.host
        assert target.address is None or str(target.address) == target.host
    assert told.isascii()
    assert told.isprintable()
    assert len(told) <= MAX_REASON_BYTES


@given(WILD_TEXT)
def test_any_host_is_canonical_or_invalid(host: str) -> None:
    """Whatever a host parses to parses to itself, and the resolver is never handed a disguised number."""
    try:
        canonical = parse_host(host)
    except InvalidTarget:
        return
    assert parse_host(canonical) == canonical
    last = canonical.rpartition(".")[2]
    assert ":" in canonical or not last.isdigit() or str(IPv4Address(canonical)) == canonical


@pytest.mark.parametrize("text", ["db", "DB-1_a.b", "0", "a" * 63])
def test_names_of_targets_are_kept_as_they_are(text: str) -> None:
    """Letters, digits, dots, underscores and hyphens, in either case."""
    assert str(TargetName.parse(text)) == text


@pytest.mark.parametrize("text", ["", ".db", "-db", "_db", "a b", "a/b", "a:b", "a=b", "ä", "a\n", "a" * 64])
def test_other_names_of_targets_are_invalid(text: str) -> None:
    """They would need escaping in a URL, a file or a log line."""
    with pytest.raises(InvalidTarget, match=r"^target: expected a name of 1 to 63 letters, digits, . _ or -"):
        TargetName.parse(text)

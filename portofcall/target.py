"""Where a client asks to go: host and port in one canonical value, or a name. Nothing is resolved here.

The text is validated before any resolver sees it: ``getaddrinfo`` reads ``127.1``, ``0x7f.1``, full-width
dots and a port of 70000 as something else, so all of them are invalid here.
"""

import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2s
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

import idna

from portofcall.errors import InvalidTarget, printable

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_LOOPBACK: dict[Address, Address] = {
    IPv4Address("0.0.0.0"): IPv4Address("127.0.0.1"),
    IPv6Address("::"): IPv6Address("::1"),
}

#: Longer text is refused before any work is done on it. The longest valid host has 254 characters.
MAX_HOST_CHARACTERS = 1000

_MAX_NAME = 253  # RFC 1035 section 2.3.4: 255 octets on the wire, less the first length and the root
_MAX_LABEL = 63  # RFC 1035 section 2.3.4
_REMEMBERED = 1024  # hosts that are parsed once for many dials
_SHOWN = 30  # keeps a sentence within the size of a Close frame

_DOTTED_QUAD = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
# RFC 1123 section 2.1, and the underscores that DNS has in addition (RFC 2181 section 11).
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # the last label that makes inet_aton read a name as an address
_PORT = re.compile(r"[0-9]{1,5}")

# The names that operators give to targets: safe in a URL, a log line and a ticket as they are.
_TARGET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

_HASH_KEY = secrets.token_bytes(16)

# str.lower() would also turn the Kelvin sign into "k".
_LOWER_ASCII = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True, slots=True)
class Target:
    """A TCP host and port, in the canonical spelling that the gateway compares, judges and dials.

    Make it with :meth:`parse`; the constructor checks nothing.

    Attributes:
        host: a lower-case name in A-labels without trailing dot, a dotted quad, or a compressed IPv6 address
            without brackets.
        port: 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, host: str, port: str | int) -> "Target":
        """Parse host and port as a client sent them.

        Args:
            host: see :func:`parse_host`.
            port: 1 to 65535, as a number or as one to five ASCII digits.

        Raises:
            InvalidTarget: the sentence names the field and what was expected in it.
        """
        return cls(parse_host(host), _parse_port(port))

    @property
    def address(self) -> Address | None:
        """The host as an address; None when it is a name."""
        return _literal(self.host)

    def __str__(self) -> str:
        """``host:port``, with brackets around an IPv6 address (RFC 3986 section 3.2.2)."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TargetName:
    """The name under which a client asks for a target of the operator's; whether there is one is open.

    Make it with :meth:`parse`; the constructor checks nothing.

    Attributes:
        name: 1 to 63 characters; upper and lower case differ.
    """

    name: str

    @classmethod
    def parse(cls, text: str) -> "TargetName":
        """Parse a name, as a client or the operator wrote it.

        Args:
            text: 1 to 63 ASCII letters, digits, ``.``, ``_`` and ``-``, the first a letter or a digit.

        Raises:
            InvalidTarget: the sentence says what was expected.
        """
        if not _TARGET_NAME.fullmatch(text):
            raise InvalidTarget(
                "target: expected a name of 1 to 63 letters, digits, . _ or -, "
                f'got "{printable(text, _SHOWN)}"'
            )
        return cls(text)

    def __str__(self) -> str:
        """The name."""
        return self.name


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A secret that stands for a target, as websockify has them; whether there is such a target is open.

    It may be a dict's key: Python's hashes of text are keyed, and text is compared only where all of the hash
    is the same, so that the time of a look-up says nothing about a token that is almost right.

    Attributes:
        secret: the text; `str` and `repr` redact it.
    """

    secret: str

    def __str__(self) -> str:
        """The first 4 characters, and of a short token at most a quarter, with a hash.

        The key of the hash is new for each process: short tokens can't be guessed from a log.
        """
        shown = printable(self.secret[: min(4, len(self.secret) // 4)])
        digest = blake2s(self.secret.encode(errors="surrogatepass"), key=_HASH_KEY, digest_size=4)
        return f"token {shown}~{digest.hexdigest()}"

    __repr__ = __str__


#: What a client may ask for in the open.
Requested = Target | TargetName
#: All that a client may ask for.
Wanted = Requested | Token


def unmapped(address: Address) -> Address:
    """Return the IPv4 address in an IPv4-mapped one (RFC 4291 section 2.5.5.2), and any other as it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def destination(address: Address) -> Address:
    """Return the address that a connection to ``address`` ends at.

    An IPv4-mapped address is the IPv4 address in it; connect() to an unspecified address goes to loopback.
    Any other address is itself.
    """
    plain = unmapped(address)
    return _LOOPBACK.get(plain, plain)


@lru_cache(_REMEMBERED)
def _literal(host: str) -> Address | None:
    if ":" in host:
        return IPv6Address(host)
    return IPv4Address(host) if host.rpartition(".")[2].isdigit() else None


@lru_cache(_REMEMBERED)
def parse_host(text: str) -> str:
    """Read a host as a client sent it and give its canonical spelling.

    Args:
        text: a host name (RFC 1123 labels, with underscores too in all but the last; Unicode labels as IDNA
            2008 has them, with no mapping beyond A-Z to a-z; one trailing dot is dropped), a dotted quad of
            four decimal numbers without leading zeros, or an IPv6 address without zone, bare or in brackets.

    Raises:
        InvalidTarget: it is none of these.
    """
    if len(text) > MAX_HOST_CHARACTERS:
        raise InvalidTarget(f"host: expected at most {_MAX_NAME} characters, got {len(text)}")
    if not text:
        raise InvalidTarget("host: expected a name or an address, got nothing")
    if ":" in text or text.startswith("["):
        return _parse_ipv6(text)
    if _DOTTED_QUAD.fullmatch(text):
        try:
            return str(IPv4Address(text))
        except AddressValueError:
            raise _invalid("numbers up to 255 in an IPv4 address", text) from None
    return _parse_name(text)


def _parse_ipv6(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        if "%" in bare:
            raise AddressValueError
        return str(IPv6Address(bare))
    except AddressValueError:
        raise _invalid("an IPv6 address without zone or port", text) from None


def _parse_name(text: str) -> str:
    labels = [_parse_label(label, text) for label in text.removesuffix(".").split(".")]
    name = ".".join(labels)
    if len(name) > _MAX_NAME:
        raise _invalid(f"a name of at most {_MAX_NAME} characters", text)
    last = labels[-1]
    # Neither an underscore nor the digits of another script, a lookalike, are in any top-level domain.
    if "_" in last:
        raise _invalid("a last label of letters, digits, inner hyphens", text)
    if _NUMBER.fullmatch(last) or (last.startswith("xn--") and idna.ulabel(last).isdigit()):
        raise _invalid("four decimal numbers, or a name that ends in no number", text)
    return name


def _parse_label(label: str, text: str) -> str:
    lowered = label.translate(_LOWER_ASCII)
    if len(lowered) <= _MAX_LABEL:
        if _LABEL.fullmatch(lowered) and not lowered.startswith("xn--"):
            return lowered
        if not lowered.isascii() or lowered.startswith("xn--"):
            return _parse_idna_label(lowered, text)
    raise _invalid(f"labels of 1 to {_MAX_LABEL} letters, digits, _ or inner hyphens", text)


def _parse_idna_label(label: str, text: str) -> str:
    try:
        unicode_label = idna.ulabel(label)
        ascii_label = idna.alabel(unicode_label).decode("ascii")
    except ValueError:
        raise _invalid("labels that are valid in IDNA 2008", text) from None
    # An A-label is the one spelling of its label (RFC 5891 section 5.3); older releases of idna take others.
    if label.isascii() and label != ascii_label:
        raise _invalid("labels that are valid in IDNA 2008", text)
    return ascii_label


def _parse_port(port: str | int) -> int:
    if isinstance(port, str):
        if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
            raise InvalidTarget(f'port: expected 1 to 65535 in digits, got "{printable(port, _SHOWN)}"')
        return int(port)
    if isinstance(port, bool) or not 1 <= port <= 65535:
        raise InvalidTarget("port: expected a whole number from 1 to 65535")
    return port


def _invalid(expected: str, text: str) -> InvalidTarget:
    return InvalidTarget(f'host: expected {expected}, got "{printable(text, _SHOWN)}"')

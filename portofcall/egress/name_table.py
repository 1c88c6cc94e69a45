"""Which host names are private: a table with one row per domain, each with the document that says so."""

_ETC_HOSTS = ("a name of this host", "as /etc/hosts has it")
_APPENDIX_G = ("a private name", "RFC 6762 appendix G")

#: Names with a meaning only on this host or in its own network, with everything below them. Public DNS does
#: not have them; a local resolver leads inside.
PRIVATE_DOMAINS: dict[str, tuple[str, str]] = {
    "localhost": ("a name of this host", "RFC 6761 section 6.3"),
    **dict.fromkeys(("ip6-localhost", "ip6-loopback", "localhost4", "localhost6"), _ETC_HOSTS),
    **dict.fromkeys(("localdomain", "localdomain4", "localdomain6"), _ETC_HOSTS),
    "local": ("a name of the local link", "RFC 6762"),
    "internal": ("a private name", "reserved by ICANN in 2024"),
    "home.arpa": ("a name of the home network", "RFC 8375"),
    **dict.fromkeys(("corp", "home", "intranet", "lan", "private"), _APPENDIX_G),
    "test": ("a name for testing", "RFC 6761 section 6.2"),
    "invalid": ("a name that never exists", "RFC 6761 section 6.4"),
    "onion": ("a name of Tor", "RFC 7686"),
}
_SINGLE_LABEL = ("a single label, known to a local network only", "RFC 7085")


def private_name(host: str) -> tuple[str, str] | None:
    """Look a host name up in the table.

    Args:
        host: in the spelling of `portofcall.target.Target`.

    Returns:
        What the name is, to follow "is", and the source for that; None if the name is not private.
    """
    labels = host.split(".")
    row = PRIVATE_DOMAINS.get(labels[-1]) or PRIVATE_DOMAINS.get(".".join(labels[-2:]))
    return row or (_SINGLE_LABEL if len(labels) == 1 else None)

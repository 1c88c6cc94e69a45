"""Which host names are private: a table with one row per domain, each with its source."""

_ETC_HOSTS = ("a name of this host", "as /etc/hosts has it")
_APPENDIX_G = ("a private name", "RFC 6762 appendix G")
_KUBERNETES = ("a name of a cluster", "the DNS specification of Kubernetes")

#: Names with a meaning only on this host or in its own network, with everything below them. Public DNS does
#: not have them; a local resolver leads inside.
PRIVATE_DOMAINS: dict[str, tuple[str, str]] = {
    "localhost": ("a name of this host", "RFC 6761 section 6.3"),
    **dict.fromkeys(("ip6-localhost", "ip6-loopback", "localhost4", "localhost6"), _ETC_HOSTS),
    **dict.fromkeys(("localdomain", "localdomain4", "localdomain6"), _ETC_HOSTS),
    "local": ("a name of the local link", "RFC 6762"),
    **dict.fromkeys(("cluster.local", "svc"), _KUBERNETES),
    "internal": ("a private name", "reserved by ICANN in 2024"),
    "arpa": ("a name of the Internet's infrastructure", "RFC 3172"),
    "home.arpa": ("a name of the home network", "RFC 8375"),
    **dict.fromkeys(("corp", "home", "intranet", "lan", "private"), _APPENDIX_G),
    "test": ("a name for testing", "RFC 6761 section 6.2"),
    "invalid": ("a name that never exists", "RFC 6761 section 6.4"),
    "onion": ("a name of Tor", "RFC 7686"),
    "alt": ("a name outside of DNS", "RFC 9476"),
}
_SINGLE_LABEL = ("a single label, known to a local network only", "RFC 7085")


def private_name(host: str) -> tuple[str, str] | None:
    """Look a host name up in the table.

    Args:
        host: in the spelling of `portofcall.target.Target`.

    Returns:
        A description that follows "is", and its source; None if the name is not private. The longest domain
        decides.
    """
    labels = host.split(".")
    row = PRIVATE_DOMAINS.get(".".join(labels[-2:])) or PRIVATE_DOMAINS.get(labels[-1])
    return row or (_SINGLE_LABEL if len(labels) == 1 else None)

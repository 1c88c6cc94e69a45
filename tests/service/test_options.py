"""The command line becomes values, or one line that says what was expected."""

import base64
from pathlib import Path

import pytest
import pytest_twisted
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.python import usage

from portofcall.access.authenticator import Authenticator, Credentials
from portofcall.egress.named_target import TargetsError
from portofcall.egress.policy_file import PolicyFileError
from portofcall.errors import Unauthorized
from portofcall.limits.values import Limits, MiB, Rate
from portofcall.service.option_values import DEFAULT_LISTEN
from portofcall.service.tls_files import TLSFileError
from portofcall.target import TargetName
from tests.certificates import Authority
from tests.service.support import parse


def test_defaults_are_those_of_the_help() -> None:
    """What --help shows without options is what happens without options."""
    options = parse()
    assert options["listen"] == [DEFAULT_LISTEN]
    assert (options["high-water"], options["max-message"]) == (MiB, MiB)
    assert (options["connect-timeout"], options["dns-timeout"]) == (10, 5)
    assert (options["allow"], options["deny"], options["demo"]) == ([], [], 0)
    assert options.limits() == Limits()


def test_options_are_read_with_their_units() -> None:
    """Sizes, times, rates, and lists where an option is repeatable."""
    options = parse(
        "--high-water=512K", "--max-message", "64K", "--connect-timeout=2.5", "--dns-timeout=1",
        "--allow=public:443", "--allow=10.0.0.0/8:22", "--deny=10.1.0.0/16",
        "--listen=tcp:1", "--listen=unix:/run/x",
        "--origin=HTTPS://Pages.example:443", "--trust-forwarded=10.0.0.0/8",
        "--max-tunnels=7", "--max-per-client=0", "--rate-per-client=3", "--rate-per-target=2.5:9",
    )  # fmt: skip
    assert options["origin"] == ["https://pages.example"]
    assert [str(network) for network in options["trust-forwarded"]] == ["10.0.0.0/8"]
    limits = options.limits()
    assert (limits.max_tunnels, limits.max_per_client, limits.max_per_target) == (7, 0, 256)
    assert (limits.rate_per_client, limits.rate_per_target) == (Rate(3, 12), Rate(2.5, 9))
    assert (options["high-water"], options["max-message"]) == (512 * 1024, 64 * 1024)
    assert (options["connect-timeout"], options["dns-timeout"]) == (2.5, 1)
    assert options["allow"] == ["public:443", "10.0.0.0/8:22"]
    assert options["deny"] == ["10.1.0.0/16"]
    assert options["listen"] == ["tcp:1", "unix:/run/x"]


def test_policy_file_is_read_at_the_start_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one method, and from the same place after twistd has changed its directory."""
    path = tmp_path / "policy"
    path.write_text("allow 10.0.0.0/8\n")
    monkeypatch.chdir(tmp_path)
    options = parse("--policy=policy", "--deny=10.1.0.0/16")
    assert [rule.text for rule in (*options.policy.allow, *options.policy.deny)] == [
        "10.0.0.0/8",
        "10.1.0.0/16",
    ]
    monkeypatch.chdir("/")
    path.write_text("allow public\n")
    policy = options.read_policy()
    assert [rule.text for rule in (*policy.allow, *policy.deny)] == ["public", "10.1.0.0/16"]
    path.unlink()
    with pytest.raises(PolicyFileError, match="No such file"):
        options.read_policy()


def test_targets_are_read_at_the_start_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the command line and of the file, from the same place after twistd changed its directory."""
    assert parse().targets is None
    path = tmp_path / "targets"
    path.write_text("db: 10.0.0.5:5432\n")
    monkeypatch.chdir(tmp_path)
    options = parse("--target-file=targets", "--target=a=unix:/run/a", "--target", "b=tls:b.example.com:443")
    assert options.targets is not None
    assert sorted(map(str, options.targets.by_name)) == ["a", "b", "db"]
    monkeypatch.chdir("/")
    path.write_text("other: 10.0.0.5:5432\n")
    targets = options.read_targets()
    assert targets is not None
    assert sorted(map(str, targets.by_name)) == ["a", "b", "other"]
    path.write_text("other: 10.0.0.5:5432\nb: b:1\n")
    with pytest.raises(TargetsError) as error:
        options.read_targets()
    assert str(error.value) == f"--target-file {path}: line 2: expected each name once, got b again"


def test_default_target_is_a_name_or_a_target() -> None:
    """A name has to be known, now and at each reload; with a target of its own there is no other."""
    options = parse("--default-target=127.0.0.1:5901")
    assert options.targets is not None
    assert options.targets.default == TargetName("default")
    assert options.policy.allow == ()
    options = parse("--default-target=desk", "--target=desk=127.0.0.1:5901")
    assert options.targets is not None
    assert options.targets.default == TargetName("desk")
    with pytest.raises(usage.UsageError, match=r"^--default-target: expected HOST:PORT, .* got 'desk'$"):
        parse("--default-target=desk")
    with pytest.raises(usage.UsageError, match=r"--default-target: .*port: expected"):
        parse("--default-target=127.0.0.1:x")


@pytest.mark.parametrize(
    ("arguments", "allow"),
    [
        ([], ["public"]),
        (["--target=db=10.0.0.5:1"], []),
        (["--target=db=10.0.0.5:1", "--deny=10.1.0.0/16"], []),
        (["--target=db=10.0.0.5:1", "--allow=public"], ["public"]),
    ],
)
def test_targets_replace_the_default_that_allows(arguments: list[str], allow: list[str]) -> None:
    """With targets and no rule that allows, nothing else can be asked for."""
    assert [rule.text for rule in parse(*arguments).policy.allow] == allow


def test_policy_file_that_only_denies_allows_nothing_with_targets(tmp_path: Path) -> None:
    """At each reload too; one rule that allows opens it."""
    path = tmp_path / "policy"
    path.write_text("deny 10.1.0.0/16\n")
    options = parse("--target=db=10.0.0.5:1", f"--policy={path}")
    assert options.policy.allow == ()
    path.write_text("allow public\ndeny 10.1.0.0/16\n")
    assert [rule.text for rule in options.read_policy().allow] == ["public"]


def test_certificates_are_read_at_the_start_and_again(tmp_path: Path) -> None:
    """With one method, which leaves what is in force alone."""
    first, second = Authority().issue("a.example"), Authority().issue("b.example")
    certificate, key = first.write(tmp_path)
    options = parse(
        "--listen=tls+tcp:443", f"--tls-cert={certificate}", f"--tls-key={key}", "--tls-min-version=1.3"
    )
    assert options.tls is not None
    assert options.tls.material.min_version == "1.3"
    second.write(tmp_path)
    assert [one.names for one in options.read_tls().material.certificates] == [("b.example",)]
    assert [one.names for one in options.tls.material.certificates] == [("a.example",)]
    key.write_text("half written")
    with pytest.raises(TLSFileError, match=f"^--tls-key {key}: expected a private key"):
        options.read_tls()


def test_certificate_that_openssl_refuses_is_one_line(tmp_path: Path) -> None:
    """At the start."""
    weak = Authority().issue("a.example", key=rsa.generate_private_key(65537, 1024))
    certificate, key = weak.write(tmp_path)
    with pytest.raises(usage.UsageError, match=f"^--tls-cert {certificate}: OpenSSL refuses it"):
        parse("--listen=tls+tcp:443", f"--tls-cert={certificate}", f"--tls-key={key}")


INVALID = [
    (["--listen", "nonsense:1"], "--listen"),
    (["--listen", "tcp:banana"], "--listen"),
    (["--listen", "ssl:1:privateKey=/nonexistent"], "--listen"),
    (["--allow", "10.0.0.1/8"], "--allow"),
    (["--allow", "example.com:0"], "--allow"),
    (["--deny", "10.0.0.0/33"], "--deny"),
    (["--high-water", "banana"], "--high-water"),
    (["--max-message", "0"], "--max-message"),
    (["--connect-timeout", "-1"], "--connect-timeout"),
    (["--dns-timeout", "inf"], "--dns-timeout"),
    (["--max-tunnels", "many"], "--max-tunnels"),
    (["--rate-per-client", "1:0"], "--rate-per-client"),
    (["--origin", "pages.example"], "--origin"),
    (["--origin", "null"], "--origin"),
    (["--trust-forwarded", "10.0.0.1/8"], "--trust-forwarded"),
    (["--auth", "nonsense:secret"], "--auth"),
    (["--ticket-key", "/nonexistent"], "--ticket-key"),
    (["--no-auth", "--auth", "memory:a:b"], "--no-auth"),
    (["--demo", "--allow", "public"], "--demo"),
    (["--demo", "--deny", "public"], "--demo"),
    (["--policy", "/nonexistent"], "--policy"),
    (["--target", "db"], "--target: expected NAME=HOST:PORT"),
    (["--target", "db=127.1:22"], "--target: host: expected"),
    (["--target", "a=b:1", "--target", "a=b:2"], "--target: expected each name once, got a again"),
    (["--target-file", "/nonexistent"], "--target-file /nonexistent: expected a readable file"),
    (["--demo", "--target", "a=b:1"], "--demo"),
    (["--demo", "--target-file", "/nonexistent"], "--demo"),
    (["--policy", "/dev/null", "--policy", "/dev/null"], "--policy: expected once"),
    (["--max-tunnels", "1", "--max-tunnels", "1"], "--max-tunnels: expected once"),
    (["--listen", "tls+tcp:443"], "--listen tls+tcp:443: needs a certificate, --tls-cert"),
    (["--listen", "tls+nonsense:1"], "--listen: expected a Twisted server endpoint"),
    (["--listen", "tls+ssl:443", "--tls-cert", "/c"], "--listen: expected a Twisted server endpoint"),
    (["--tls-cert", "/nonexistent"], "--tls-cert: needs a tls+ endpoint"),
    (["--tls-key", "/nonexistent"], "--tls-key: needs a tls+ endpoint"),
    (["--tls-client-ca", "/c", "--listen", "ssl:1:privateKey=/c"], "--listen"),
    (["--tls-client-ca", "/c", "--listen", "tcp:1"], "--tls-client-ca: needs a tls+ endpoint"),
    (["--tls-min-version", "1.3"], "--tls-min-version: needs a tls+ endpoint"),
    (["--tls-min-version", "1.1", "--listen", "tls+tcp:1"], "--tls-min-version: expected 1.2 or 1.3"),
    (["--listen", "tls+tcp:1", "--tls-cert", "/nonexistent"], "--tls-cert /nonexistent: expected a readable"),
    (["--listen", "tls+tcp:1", "--tls-cert", "/c", *["--tls-key", "/k"] * 2], "--tls-key: expected one for"),
    (["--tls-client-ca", "/c", "--tls-client-ca", "/c"], "--tls-client-ca: expected once"),
]


@pytest.mark.parametrize(("arguments", "option"), INVALID)
def test_invalid_option_is_named_in_one_line(arguments: list[str], option: str) -> None:
    """The line says what was expected, and quotes no password."""
    with pytest.raises(usage.UsageError) as caught:
        parse(*arguments)
    assert option in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("arguments", "option"), INVALID)
def test_under_twistd_that_line_is_all(arguments: list[str], option: str) -> None:
    """twistd would print the whole help before it."""
    with pytest.raises(SystemExit) as caught:
        parse(*arguments, twistd={})
    assert str(caught.value.code).startswith("twistd portofcall: ")
    assert option in str(caught.value.code)


def test_ticket_key_is_expected_once(tmp_path: Path) -> None:
    """Two keys would leave open which of them counts."""
    path = tmp_path / "key"
    path.write_bytes(b"0123456789abcdef" * 2)
    with pytest.raises(usage.UsageError, match="--ticket-key: expected once"):
        parse("--ticket-key", str(path), "--ticket-key", str(path))


@pytest_twisted.ensureDeferred
async def test_methods_of_auth_check_users_and_passwords(tmp_path: Path) -> None:
    """As the command line has them: users in a file, users in memory."""
    path = tmp_path / "passwd"
    path.write_text("ada:lovelace\n")
    for method in (f"file:{path}", "memory:ada:lovelace"):
        credentials = Credentials(checkers=parse("--auth", method)["credCheckers"])
        authenticator = Authenticator(credentials, wall_clock=lambda: 0, monotonic=lambda: 0)
        right = [b"Basic " + base64.b64encode(b"ada:lovelace")]
        identity = await authenticator.check(authorization=right, tickets=[], client="a", target=None)
        assert identity == ("ada", None)
        wrong = [b"Basic " + base64.b64encode(b"ada:babbage")]
        with pytest.raises(Unauthorized):
            await authenticator.check(authorization=wrong, tickets=[], client="a", target=None)


def test_end_at_exp_needs_a_key_for_tickets(tmp_path: Path) -> None:
    """Without one it would do nothing."""
    path = tmp_path / "key"
    path.write_bytes(b"0123456789abcdef0123456789abcdef")
    assert parse("--ticket-key", str(path), "--end-at-exp").credentials.end_at_exp
    assert not parse("--ticket-key", str(path)).credentials.end_at_exp
    with pytest.raises(usage.UsageError, match="--end-at-exp: needs --ticket-key"):
        parse("--end-at-exp")


def test_recheck_of_open_tunnels_needs_a_file_that_can_change() -> None:
    """Without one it would never happen."""
    with pytest.raises(usage.UsageError, match="--recheck-open-tunnels: needs --policy or --target-file"):
        parse("--recheck-open-tunnels", "--allow=public")

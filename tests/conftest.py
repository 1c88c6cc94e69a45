"""Fixtures for all tests."""

import datetime
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import settings
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher

from tests.watchdog import pytest_timeout_cancel_timer, pytest_timeout_set_timer

# Hooks of pytest-timeout.
__all__ = ["pytest_timeout_cancel_timer", "pytest_timeout_set_timer"]

# No deadlines: a busy machine is not a failure, and time is measured in benchmarks.
settings.register_profile("quick", deadline=None, max_examples=15)
# The same examples in every run of CI, so that it fails for a change and not by chance.
settings.register_profile("thorough", deadline=None, max_examples=200, derandomize=True)
settings.load_profile("thorough" if os.environ.get("CI") else "quick")

#: The time limit of a slow test, in seconds; that of the others is in setup.cfg.
SLOW_TIMEOUT_SECONDS = 300

_OBJECTS_PER_COLLECTION = 100_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time than the others have."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_SECONDS))


def pytest_collection_finish() -> None:
    """Have the garbage collector look seldom at the thousands of tests, which live until the end."""
    # Not gc.freeze: early versions of Hypothesis ask the collector who refers to an object.
    gc.set_threshold(_OBJECTS_PER_COLLECTION)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The lines logged during the test."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(cast(ILogObserver, observe))
    yield lines
    globalLogPublisher.removeObserver(cast(ILogObserver, observe))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a key and a certificate for localhost, alone in its folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path

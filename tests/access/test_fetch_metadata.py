"""A page of another site can't use what GET does."""

import pytest

from portofcall.access.fetch_metadata import judge_fetch
from portofcall.errors import OriginRefused

BROWSER = [b"Mozilla/5.0 (X11; Linux x86_64)"]


@pytest.mark.parametrize(
    ("sites", "agents"),
    [
        ([], [b"curl/8.5.0"]),
        ([], []),
        ([b"none"], BROWSER),
        ([b"same-origin"], BROWSER),
    ],
)
def test_programs_people_and_own_pages_are_allowed(sites: list[bytes], agents: list[bytes]) -> None:
    """Programs send no metadata; ``none`` is an address that somebody typed."""
    judge_fetch(sites, agents)


@pytest.mark.parametrize(
    ("sites", "agents"),
    [
        ([b"cross-site"], BROWSER),
        ([b"same-site"], BROWSER),
        ([b"none", b"cross-site"], BROWSER),
        ([b""], BROWSER),
        ([b"cross-site"], []),
        ([], BROWSER),
        ([], [b"curl", *BROWSER]),
    ],
)
def test_other_sites_and_browsers_that_hide_them_are_refused(sites: list[bytes], agents: list[bytes]) -> None:
    """Over plain HTTP a browser sends no metadata, and is known by its name."""
    with pytest.raises(OriginRefused):
        judge_fetch(sites, agents)

"""The limit of file descriptors is raised as far as the process may."""

import resource
from unittest.mock import patch

import pytest
from twisted.internet.selectreactor import SelectReactor

from portofcall.descriptor_limit import descriptor_limit, raise_limit


class Limits:
    """The limits of a process; the kernel allows what the last of these is."""

    def __init__(self, soft: int, hard: int, *, most: int = 1 << 20) -> None:
        self.now, self.most = (soft, hard), most

    def get(self, kind: int) -> tuple[int, int]:
        assert kind == resource.RLIMIT_NOFILE
        return self.now

    def set(self, kind: int, limits: tuple[int, int]) -> None:
        assert kind == resource.RLIMIT_NOFILE
        if not 0 <= limits[0] <= self.most:
            raise ValueError("not allowed to raise maximum limit")
        self.now = limits


@pytest.mark.parametrize(
    ("before", "reactor", "after"),
    [
        ((1024, 65536), None, 65536),
        ((65536, 65536), None, 65536),
        ((1024, resource.RLIM_INFINITY), None, 1024),
        ((1024, 65536), SelectReactor.__new__(SelectReactor), 1024),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None, None),
    ],
)
def test_soft_limit_becomes_the_hard_one(before: tuple[int, int], reactor: object, after: int | None) -> None:
    """Unless the kernel refuses, or the reactor could not use them."""
    limits = Limits(*before)
    with patch.object(resource, "getrlimit", limits.get), patch.object(resource, "setrlimit", limits.set):
        raise_limit(reactor)
        assert descriptor_limit() == after

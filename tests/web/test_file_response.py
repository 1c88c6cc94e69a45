"""Large files are sent as fast as their clients read, to so many at a time, and for no client for ever."""

import os
import resource
from pathlib import Path
from typing import Any

import pytest

from portofcall.events import Event, LimitReached, Refused, RequestServed
from portofcall.limits.values import Limits
from portofcall.testing import FakeTransport, Response, World, request
from portofcall.web.file_body import LEAST_BYTES, PIECE_BYTES, STALL_SECONDS
from portofcall.web.folder import WebFolder, with_folder

SIZE = 5 * PIECE_BYTES + 7


class Served:
    """A gateway that serves a folder with a large file, and what it reports."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        self.file = folder / "large"
        self.content = os.urandom(SIZE)
        self.file.write_bytes(self.content)
        (folder / "small").write_bytes(self.content[:PIECE_BYTES])
        self.world = World(limits=limits)
        gateway = self.world.gateway
        web_folder = WebFolder(
            folder, records=gateway.records, admission=gateway.admission, clock=self.world.reactor
        )
        root = with_folder(gateway.resource(), web_folder)
        self.world.site = gateway.site(root=root)
        self.events: list[Event] = []
        gateway.observe(self.events.append)

    def get(self, path: str = "/large", *headers: str, method: str = "GET") -> FakeTransport:
        """Ask for a file, and read nothing of it."""
        connection = self.world.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: gateway", *headers, "", ""]
        connection.send("\r\n".join(lines).encode())
        return connection

    def read_all(self, connection: FakeTransport) -> Response:
        """Read the response to its end."""
        raw = b""
        while True:
            taken = connection.take()
            if not taken:
                return Response(raw)
            raw += taken
            self.world.reactor.advance(0)

    @property
    def results(self) -> list[tuple[str, int]]:
        """How the sending of files ended, and after how many bytes."""
        served = [event for event in self.events if isinstance(event, RequestServed)]
        return [(event.result, event.size) for event in served]

    @property
    def downloads(self) -> int:
        """How many places are taken."""
        return self.world.gateway.admission.downloads


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A gateway with the default limits."""
    return Served(tmp_path)


def descriptors() -> int:
    """Count those of the process."""
    return len(os.listdir("/proc/self/fd"))


def test_large_file_is_sent_in_pieces_as_the_client_reads(served: Served) -> None:
    """One piece waits in memory; at the end the connection can be used again."""
    connection = served.get()
    assert PIECE_BYTES <= len(connection.buffer) < PIECE_BYTES + 1000
    assert served.downloads == 1
    response = served.read_all(connection)
    assert (response.status, response.body) == (200, served.content)
    assert response.headers["content-length"] == str(SIZE)
    assert (served.downloads, served.results) == (0, [("ok", SIZE)])
    connection.send(b"GET /small HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert served.read_all(connection).body == served.content[:PIECE_BYTES]


def test_each_piece_is_sent_in_a_turn_of_its_own(served: Served) -> None:
    """Others have their turns in between, however fast the client reads."""
    connection = served.get()
    connection.drain()
    assert connection.buffer == b""
    served.world.reactor.advance(0)
    assert connection.buffer != b""


def test_client_that_stops_reading_before_the_turn_gets_nothing_in_it(served: Served) -> None:
    """What it has to read is bounded whenever it stops."""
    connection = served.get()
    connection.drain()
    connection.protocol.pauseProducing()
    served.world.reactor.advance(0)
    assert connection.buffer == b""
    connection.protocol.resumeProducing()
    served.world.reactor.advance(0)
    assert connection.buffer != b""


def test_part_of_a_large_file(served: Served) -> None:
    """From anywhere to the end, in pieces as well."""
    response = served.read_all(served.get("/large", "Range: bytes=70000-"))
    assert (response.status, response.body) == (206, served.content[70000:])
    assert response.headers["content-range"] == f"bytes 70000-{SIZE - 1}/{SIZE}"
    assert response.headers["content-length"] == str(SIZE - 70000)


def test_several_ranges_are_all_of_it_once(served: Served) -> None:
    """Each would cost a read, and more bytes than it has."""
    response = served.read_all(served.get("/large", "Range: bytes=" + ",".join(["0-"] * 100)))
    assert (response.status, response.body) == (200, served.content)


def test_range_behind_the_end_is_416(served: Served) -> None:
    """With the length that there is."""
    response = Response(served.get("/large", f"Range: bytes={SIZE}-").take())
    assert (response.status, response.headers["content-range"]) == (416, f"bytes */{SIZE}")


@pytest.mark.parametrize("path", ["/small", "/large"])
def test_head_is_without_a_body_and_takes_no_place(served: Served, path: str) -> None:
    """With the headers of GET."""
    full = request(served.world, "GET", "/small")
    head = Response(served.get(path, method="HEAD").take())
    assert (head.status, head.body, served.downloads) == (200, b"", 0)
    assert {*head.headers} == {*full.headers}
    assert head.headers["content-length"] == str(served.file.with_name(path[1:]).stat().st_size)


def test_version_that_the_client_has_is_304(served: Served) -> None:
    """By its tag or by its date; a changed file is sent again."""
    first = request(served.world, "GET", "/small")
    for name, value in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified")):
        again = Response(served.get("/small", f"{name}: {first.headers[value]}").take())
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == "no-cache"
    served.file.with_name("small").write_bytes(b"new")
    again = Response(served.get("/small", f"If-None-Match: {first.headers['etag']}").take())
    assert (again.status, again.body) == (200, b"new")


def test_client_that_does_not_read_is_reset(served: Served, logged: list[str]) -> None:
    """And the file closed; the log says why."""
    before = descriptors()
    connection = served.get()
    assert descriptors() == before + 1
    served.world.reactor.advance(STALL_SECONDS)
    # What it had got by then is progress.
    assert connection.log == []
    served.world.reactor.advance(STALL_SECONDS)
    assert connection.log == ["reset"]
    connection.lose()
    assert (served.downloads, descriptors()) == (0, before)
    assert served.results == [("client-stalled", PIECE_BYTES)]
    assert logged[-1].endswith(" result=client-stalled")


def test_client_that_reads_drop_by_drop_is_reset(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than 16 KiB in 30 seconds is no progress; that is."""
    waiting = PIECE_BYTES
    monkeypatch.setattr(
        "portofcall.relay.delivery.Delivery.unacknowledged_bytes", property(lambda _: waiting)
    )
    connection = served.get()
    waiting -= LEAST_BYTES
    served.world.reactor.advance(STALL_SECONDS)
    assert connection.log == []
    waiting -= LEAST_BYTES - 1
    served.world.reactor.advance(STALL_SECONDS)
    assert connection.log == ["reset"]


def test_client_that_leaves_gives_its_place_back(served: Served) -> None:
    """At once, and it is no error."""
    before = descriptors()
    connection = served.get()
    connection.lose()
    assert (served.downloads, descriptors()) == (0, before)
    assert served.results == [("client-lost", PIECE_BYTES)]
    served.world.reactor.advance(2 * STALL_SECONDS)


def test_file_that_shrinks_meanwhile_resets_the_connection(served: Served) -> None:
    """The client must not wait for the rest, nor take the next response for it."""
    connection = served.get()
    os.truncate(served.file, PIECE_BYTES + 1)
    connection.take()
    served.world.reactor.advance(0)
    assert connection.log == ["reset"]
    connection.lose()
    assert (served.downloads, served.results) == (0, [("file-changed", PIECE_BYTES)])


def test_file_that_grows_meanwhile_is_sent_as_long_as_it_was(served: Served) -> None:
    """The length is announced already."""
    connection = served.get()
    with served.file.open("ab") as file:
        file.write(b"more" * PIECE_BYTES)
    assert served.read_all(connection).body == served.content


def test_file_that_is_replaced_meanwhile_is_sent_as_it_was(served: Served) -> None:
    """As a deployment does it."""
    connection = served.get()
    new = served.file.with_name("new")
    new.write_bytes(b"new")
    new.rename(served.file)
    assert served.read_all(connection).body == served.content


def test_disk_that_fails_resets_the_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    """With the reason in the log."""
    connection = served.get()

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("portofcall.web.file_body.os.pread", fail)
    connection.take()
    served.world.reactor.advance(0)
    assert connection.log == ["reset"]
    assert served.results == [("file-unreadable", PIECE_BYTES)]
    assert "could not read a file" in logged


def test_small_file_that_shrinks_between_its_opening_and_its_reading(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is reset, too."""
    monkeypatch.setattr("portofcall.web.file_body.os.pread", lambda *_: b"short")
    connection = served.get("/small")
    assert (connection.log, connection.buffer) == (["reset"], b"")


def test_client_has_a_quarter_of_all_places(tmp_path: Path, logged: list[str]) -> None:
    """The next one is asked to come back later; small files need no place."""
    served = Served(tmp_path, Limits(max_downloads=40))
    first, *_ = [served.get() for _ in range(10)]
    refused = Response(served.get().take())
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert served.events == [LimitReached("max_downloads", "192.0.2.1"), served.events[1]]
    assert isinstance(served.events[1], Refused)
    assert request(served.world, "GET", "/small").status == 200
    served.read_all(first)
    assert len(served.get().buffer) > PIECE_BYTES
    assert any("--max-downloads 40" in line for line in logged)


def test_all_places_together_are_bounded(tmp_path: Path) -> None:
    """Beyond them it is 503, and nothing is left open."""
    served = Served(tmp_path, Limits(max_downloads=3))
    connections = [served.get() for _ in range(3)]
    before = descriptors()
    refused = Response(served.get().take())
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert (refused.body, descriptors()) == (b"too many downloads\n", before)
    assert "etag" not in refused.headers
    assert [event.slug for event in served.events if isinstance(event, Refused)] == ["busy"]
    for connection in connections:
        connection.lose()
    assert served.downloads == 0


def test_a_thousand_downloads_that_break_off_leave_nothing(served: Served) -> None:
    """Neither descriptors, nor places, nor timers."""
    before, calls = descriptors(), len(served.world.reactor.getDelayedCalls())
    for _ in range(1000):
        served.get("/large", "Connection: close").lose()
        served.world.reactor.advance(0.1)
    assert (descriptors(), served.downloads) == (before, 0)
    assert len(served.world.reactor.getDelayedCalls()) <= calls + 1


def test_huge_file_is_not_read_before_it_is_sent(served: Served) -> None:
    """Nor is a length of many gigabytes too much."""
    size = 2**42
    with served.file.open("wb") as file:
        file.truncate(size)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    connection = served.get("/large", f"Range: bytes={size - 2 * PIECE_BYTES}-")
    response = served.read_all(connection)
    assert (response.status, response.body) == (206, bytes(2 * PIECE_BYTES))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start < 4096
    head: Any = Response(served.get(method="HEAD").take())
    assert head.headers["content-length"] == str(size)

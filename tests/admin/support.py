"""A gateway with an admin listener, in memory."""

from typing import Any

from portofcall.access.authenticator import Credentials
from portofcall.admin.root import MetricsText
from portofcall.admin.site import make_admin_site
from portofcall.events import Event
from portofcall.relay.carried import Carried
from portofcall.testing import FakeTransport, Response, World


class AdminWorld(World):
    """A world whose gateway has an admin listener as well.

    Args:
        operators: what authenticates the operator; None means no authentication.
        options: as for `World`.

    Attributes:
        text: makes the text of ``/metrics``; a test may set it.
        admin: serves the admin listener.
        admin_events: what has happened on it.
    """

    def __init__(self, *, operators: Credentials | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.text: MetricsText = lambda up, down: b"up 1\n"
        self.admin_events: list[Event] = []
        self.admin = make_admin_site(
            self.gateway,
            metrics=self._metrics,
            reactor=self.reactor,
            credentials=operators or Credentials(),
            limits=self.limits,
            observe=self.observe_admin,
            wall_clock=lambda: self.now,
            monotonic=self.reactor.seconds,
        )

    def observe_admin(self, event: Event) -> None:
        """Keep what happens on the admin listener."""
        self.admin_events.append(event)

    def _metrics(self, up: Carried, down: Carried) -> bytes:
        return self.text(up, down)

    def admin_connection(self, *, local: str = "192.0.2.2") -> FakeTransport:
        """Connect to the admin listener.

        Args:
            local: the address of the listener.
        """
        clients, self.site = self.site, self.admin.factory
        connection = self.connect(local_host=local)
        self.site = clients
        return connection

    def ask(
        self, method: str, path: str, body: bytes = b"", *, local: str = "192.0.2.2", **headers: str
    ) -> Response:
        """Make one request to the admin listener.

        Args:
            method: such as ``GET``.
            path: with its query, if any.
            body: of the request.
            local: the address of the listener.
            headers: in addition to Host, or instead of it; empty leaves one out.
        """
        connection = self.admin_connection(local=local)
        fields = {"Host": "gateway", **headers}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
        connection.send("\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body)
        self.reactor.advance(0)
        return Response(connection.take())

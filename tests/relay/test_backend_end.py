"""The TCP end of a tunnel, where its connection can't be used."""

import errno
from typing import Any, cast
from unittest.mock import Mock

import pytest
from twisted.internet.protocol import connectionDone

from portofcall.relay import backend_end
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.readiness import Readiness
from portofcall.testing import FakeTransport


def test_connection_that_can_not_be_watched_ends_without_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dial gets the error; the end of the connection is nobody's news."""
    transport = Mock(resumeProducing=Mock(side_effect=OSError(errno.EMFILE, "no descriptors left")))
    monkeypatch.setattr(backend_end, "direct_transport", lambda *ignored: transport)
    end = BackendEnd(Readiness(None))
    with pytest.raises(OSError, match="no descriptors left"):
        end.makeConnection(cast(Any, FakeTransport()))
    end.connectionLost(connectionDone)
    transport.closed.assert_called_once_with()

"""A fake connection ends as a real one does."""

from portofcall.testing import WebSocketClient, World


def test_fin_of_a_backend_ends_one_direction() -> None:
    """The gateway answers it with the client's Close frame, and the backend still reads."""
    client = WebSocketClient(World())
    client.backend.fin()
    assert client.close_frame() == (1000, "")
    assert "close" not in client.backend.log


def test_fin_of_a_client_ends_its_connection() -> None:
    """A WebSocket has no half-close of its own connection; the backend is reset."""
    client = WebSocketClient(World())
    client.transport.fin()
    assert client.backend.log[-1] == "reset"

"""Port of Call: a WebSocket-to-TCP gateway for Twisted."""

__version__ = "0.1.0"

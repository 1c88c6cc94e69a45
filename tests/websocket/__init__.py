"""Tests of `portofcall.websocket`."""

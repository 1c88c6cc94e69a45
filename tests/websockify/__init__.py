"""Tests of `portofcall.websockify`."""

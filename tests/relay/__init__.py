"""Tests of `portofcall.relay`."""

"""Tests of `portofcall.testing`."""

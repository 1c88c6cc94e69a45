"""Tests of `portofcall.web`."""

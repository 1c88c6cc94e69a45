"""Tests of `portofcall.access`."""

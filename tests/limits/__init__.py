"""Tests of `portofcall.limits`."""

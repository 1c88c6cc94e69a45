"""Tests of `portofcall.log`."""

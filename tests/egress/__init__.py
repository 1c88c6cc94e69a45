"""Tests of `portofcall.egress`."""

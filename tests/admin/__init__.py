"""Tests of `portofcall.admin`."""

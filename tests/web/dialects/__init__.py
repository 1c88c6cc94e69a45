"""Tests of `portofcall.web.dialects`."""

"""Tests of `portofcall.service`."""

"""Tests of `portofcall.client`."""

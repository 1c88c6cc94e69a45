"""Tests of `portofcall.commands`."""

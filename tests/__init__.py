"""Tests of portofcall: in memory for each module, and end-to-end in ``e2e``."""

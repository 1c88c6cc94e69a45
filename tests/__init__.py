"""Tests of portofcall: a module of tests for each module, end-to-end tests in ``e2e``."""

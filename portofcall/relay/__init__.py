"""Bytes both ways: one tunnel between a client and a backend."""

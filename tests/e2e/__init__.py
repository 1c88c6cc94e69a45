"""End-to-end tests: a real ``twistd portofcall``, real sockets, real programs; on loopback only."""

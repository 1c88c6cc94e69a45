"""Where clients may go: the policy, and the only way to open a connection."""

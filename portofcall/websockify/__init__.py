"""``portofcall-websockify``: a gateway with websockify's command line."""

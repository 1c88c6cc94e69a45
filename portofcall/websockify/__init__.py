"""``portofcall-websockify``: a gateway with websockify's command line.

`portofcall.web.dialects.websockify` is how any gateway serves websockify's clients, at ``/websockify``.
"""

"""Makes ``twistd portofcall`` exist.

Names the service by its dotted path only, so that listing twistd's plugins imports nothing of it.
"""

from twisted.application.service import ServiceMaker

portofcall = ServiceMaker(
    "Port of Call",
    "portofcall.service",
    "A WebSocket-to-TCP gateway: byte tunnels, TCP ping and SSH banners over HTTP.",
    "portofcall",
)

"""Makes ``twistd portofcall-forward`` exist.

Names the service by its dotted path only, so that listing twistd's plugins imports nothing of it.
"""

from twisted.application.service import ServiceMaker

portofcall_forward = ServiceMaker(
    "Port of Call: forward",
    "portofcall.commands.forward_service",
    "Local ports and a SOCKS server, whose connections go through a Port of Call gateway.",
    "portofcall-forward",
)

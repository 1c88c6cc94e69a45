"""An SSH server that asks several questions at once, which OpenSSH's never does: it is Twisted's.

``python -m tests.e2e.ssh_prompts KEY`` prints its port, and serves with this host key until it is ended.
"""

import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.gateway import need
from tests.e2e.wsclient import DEADLINE

#: What is asked, whether the answer may be seen, and what is right.
QUESTIONS = [
    ("First ship: ", True, "Niña"),
    ("Password: ", False, "pw-über-'1"),
    ("Third ship: ", True, "Pinta"),
]
TITLE, INSTRUCTION = "Ships", "Answer all three."
WELCOME = "welcome aboard"
#: Sent over and over before the questions, with a sequence for terminals and a character that turns the text.
FLOOD, FLOODS = "Ahoy \x1b[31m\u202e " * 100, 100


@contextmanager
def prompting_server(key: Path) -> Iterator[int]:
    """Run one; give its port."""
    command = [need(sys.executable), "-m", "tests.e2e.ssh_prompts", str(key)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)


def serve(key: Path) -> None:
    """Listen on a port of 127.0.0.1, and print it."""
    from twisted.conch.avatar import ConchUser
    from twisted.conch.interfaces import IConchUser, ISession
    from twisted.conch.ssh.common import NS, getNS
    from twisted.conch.ssh.connection import SSHConnection
    from twisted.conch.ssh.factory import SSHFactory
    from twisted.conch.ssh.keys import Key
    from twisted.conch.ssh.session import SSHSession
    from twisted.conch.ssh.userauth import SSHUserAuthServer
    from twisted.cred.error import UnauthorizedLogin
    from twisted.cred.portal import IRealm, Portal
    from twisted.internet import reactor as global_reactor
    from twisted.internet.defer import Deferred
    from twisted.python.components import registerAdapter
    from zope.interface import implementer

    banner, info_request = 53, 60

    class Questions(SSHUserAuthServer):
        """Knows one method, keyboard-interactive (RFC 4256)."""

        def serviceStarted(self) -> None:
            super().serviceStarted()
            self.supportedAuthentications = [b"keyboard-interactive"]

        def auth_keyboard_interactive(self, packet: bytes) -> Deferred[Any]:
            """Ask; ``packet`` holds a language and submethods."""
            assert getNS(packet, 2)[2] == b""
            self.answered: Deferred[Any] = Deferred()
            prompts = b"".join(NS(text.encode()) + bytes([echo]) for text, echo, _ in QUESTIONS)
            count = struct.pack(">L", len(QUESTIONS))
            head = NS(TITLE.encode()) + NS(INSTRUCTION.encode()) + NS(b"")
            assert self.transport is not None
            for _ in range(FLOODS):
                self.transport.sendPacket(banner, NS(FLOOD.encode()) + NS(b""))
            self.transport.sendPacket(info_request, head + count + prompts)
            return self.answered

        def ssh_USERAUTH_INFO_RESPONSE(self, packet: bytes) -> None:
            """Compare the answers."""
            assert struct.unpack(">L", packet[:4]) == (len(QUESTIONS),)
            *answers, rest = getNS(packet[4:], len(QUESTIONS))
            assert rest == b""
            if answers == [right.encode() for _, _, right in QUESTIONS]:
                user = ConchUser()
                user.channelLookup[b"session"] = SSHSession
                self.answered.callback((IConchUser, user, lambda: None))
            else:
                self.answered.errback(UnauthorizedLogin())

    @implementer(ISession)
    class Shell:
        """Says one line."""

        def __init__(self, user: ConchUser) -> None: ...

        def getPty(self, *_: object) -> None:
            """Give no terminal, but do not refuse."""

        def windowChanged(self, *_: object) -> None:
            """Take note of nothing."""

        def openShell(self, transport: Any) -> None:
            """Begin."""
            transport.write(f"{WELCOME}\r\n".encode())

        def execCommand(self, *_: object) -> None:
            """Run nothing."""

        def eofReceived(self) -> None:
            """Do nothing."""

        def closed(self) -> None:
            """Do nothing."""

    @implementer(IRealm)
    class Realm:
        """Gives nothing: `Questions` decides alone."""

        def requestAvatar(self, *_: object) -> Any:
            """Refuse."""
            raise UnauthorizedLogin

    registerAdapter(Shell, ConchUser, ISession)
    host_key = Key.fromFile(str(key))
    factory: Any = SSHFactory()
    factory.portal = Portal(Realm())
    factory.publicKeys = {host_key.sshType(): host_key.public()}
    factory.privateKeys = {host_key.sshType(): host_key}
    factory.services = {b"ssh-userauth": Questions, b"ssh-connection": SSHConnection}
    reactor: Any = global_reactor
    print(reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))

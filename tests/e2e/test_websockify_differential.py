"""``portofcall-websockify`` beside websockify: the same command lines and clients, with the same results.

Where a result differs, `DIFFERENCES` has both, and docs/websockify.md says why.
"""

import base64
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from jwcrypto import jwk, jwt

from tests.certificates import Authority
from tests.e2e.websockify_pair import Client, Server, Targets, pair
from tests.e2e.wsclient import BINARY, CLOSE, CONTINUATION, PING, TEXT

pytestmark = pytest.mark.slow

Outcome = Any


class Setting:
    """What the command lines and the cases share.

    Args:
        folder: for files.
    """

    def __init__(self, folder: Path) -> None:
        self.targets = targets = Targets(folder)
        authority = Authority()
        authority.write(folder)
        authority.issue("localhost").write(folder)
        authority.issue(subject="ada", client=True).write(folder, "ada")
        authority.issue(subject="bob", client=True).write(folder, "bob")
        self.tls = ssl.create_default_context(cafile=folder / "ca.pem")
        self.folder = folder
        (folder / "tokens").write_text(
            f"# a comment\n\na: 127.0.0.1:{targets.a}\nb:\t127.0.0.1:{targets.b}\n#c: 127.0.0.1:{targets.a}\n"
            f"six: ::1:{targets.ipv6}\nbrackets: [::1]:{targets.ipv6}\nwith:colon: 127.0.0.1:{targets.a}\n"
            f"unix: unix_socket:{targets.path}\nclosed: 127.0.0.1:{targets.closed}\nbroken\n"
        )
        (folder / "changing").write_text("x: 127.0.0.1:1\n")
        (folder / "names").mkdir()
        (folder / "names" / "a").write_text(f"127.0.0.1:{targets.a}\n")
        (folder / "some").mkdir()
        (folder / "some" / "1").write_text(f"a: 127.0.0.1:{targets.a}\n")
        (folder / "some" / "2").write_text(f"b: 127.0.0.1:{targets.b}\n")
        web = folder / "web"
        (web / "with index").mkdir(parents=True)
        (web / "with index" / "index.html").write_text("<p>index")
        (web / "plain").mkdir()
        (web / "plain" / "core.js").write_text("export const x = 1;\n")
        (web / "vnc.html").write_text("<p>page")
        (web / ".secret").write_text("secret")
        (folder / "outside.txt").write_text("outside")
        self.key = jwk.JWK.generate(kty="RSA", size=2048)
        (folder / "key.pem").write_bytes(self.key.export_to_pem(private_key=True, password=None))

    def lines(self) -> Mapping[str, str]:
        """Return the command lines that are run for all cases."""
        to, folder, echo = self.targets, self.folder, f"127.0.0.1:{self.targets.echo}"
        tls = f"--cert {folder}/server.pem --key {folder}/server.key"
        tokens = "127.0.0.1:{port} --token-plugin"
        return {
            "fixed": f"{{port}} --heartbeat=30 {echo}",
            "greet": f"127.0.0.1:{{port}} localhost:{to.greet}",
            "closed": f"127.0.0.1:{{port}} 127.0.0.1:{to.closed}",
            "ipv6": f"-6 {{port}} [::1]:{to.ipv6}",
            "unix": f"127.0.0.1:{{port}} --unix-target {to.path}",
            "tokens": f"{tokens} TokenFile --token-source {folder}/tokens",
            "changing": f"127.0.0.1:{{port}} --target-config {folder}/changing",
            "some": f"{tokens} ReadOnlyTokenFile --token-source {folder}/some",
            "names": f"{tokens} TokenFileName --token-source {folder}/names",
            "host": f"{tokens} TokenFile --token-source {folder}/tokens --host-token",
            "json": f"{tokens} JSONTokenApi --token-source http://127.0.0.1:{serve_targets(to)}/json/%s",
            "text": f"{tokens} BaseTokenAPI --token-source http://127.0.0.1:{serve_targets(to)}/text/%s",
            "jwt": f"{tokens} JWTTokenApi --token-source {folder}/key.pem",
            "redis": f"{tokens} TokenRedis --token-source 127.0.0.1:{serve_redis(to)}:2:pass:ns",
            "basic": f"127.0.0.1:{{port}} {echo} --auth-plugin BasicHTTPAuth --auth-source ada:pass:word",
            "origin": f"127.0.0.1:{{port}} {echo} --auth-plugin=ExpectOrigin "
            "--auth-source http://pages.example",
            "web": f"127.0.0.1:{{port}} --web {folder}/web {echo}",
            "file-only": f"127.0.0.1:{{port}} --web {folder}/web --file-only {echo}",
            "web-auth": f"127.0.0.1:{{port}} {echo} --web {folder}/web --web-auth "
            "--auth-plugin BasicHTTPAuth --auth-source ada:pass:word",
            "tls": f"127.0.0.1:{{port}} {echo} {tls}",
            "ssl-only": f"127.0.0.1:{{port}} {echo} {tls} --ssl-only --ssl-version tlsv1_3",
            "certificates": f"127.0.0.1:{{port}} {echo} {tls} --verify-client --cafile {folder}/ca.pem "
            "--auth-plugin ClientCertCNAuth --auth-source ada",
        }

    def client_tls(self, name: str) -> ssl.SSLContext:
        """Return what presents a certificate for this name."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def token(self, *, encrypted: bool = False, **claims: object) -> str:
        """Sign a token for target A, and encrypt it if that is asked for."""
        token = jwt.JWT(
            header={"alg": "RS256"}, claims={"host": "127.0.0.1", "port": self.targets.a, **claims}
        )
        token.make_signed_token(self.key)
        if encrypted:
            token = jwt.JWT(header={"alg": "RSA-OAEP-256", "enc": "A256GCM"}, claims=token.serialize())
            token.make_encrypted_token(self.key)
        return str(token.serialize())


def serve_targets(targets: Targets) -> int:
    """Serve targets over HTTP, as an application's token service does."""

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, token = self.path.strip("/").split("/")
            if token != "a":
                self.send_error(404)
                return
            port = targets.a
            body = f"127.0.0.1:{port}" if kind == "text" else json.dumps({"host": "127.0.0.1", "port": port})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def serve_redis(targets: Targets) -> int:
    """Serve two tokens as Redis does (RESP)."""
    values = {
        b"ns:a": f"127.0.0.1:{targets.a}".encode(),
        b"ns:json": json.dumps({"host": f"127.0.0.1:{targets.b}"}).encode(),
    }
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            allowed = chosen = False
            while line := stream.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int(stream.readline()[1:])
                    words.append(stream.read(size))
                    stream.readline()
                command = words[0].upper()
                allowed = allowed or (words[-1] == b"pass" and b"AUTH" in words)
                chosen = chosen or words == [b"SELECT", b"2"]
                value = values.get(words[1]) if command == b"GET" and allowed and chosen else None
                if command == b"HELLO":  # RESP 3, which has maps
                    stream.write(b"%1\r\n+proto\r\n:3\r\n")
                elif command != b"GET":
                    stream.write(b"+OK\r\n")
                elif value is None:
                    stream.write(b"_\r\n")
                else:
                    stream.write(b"$%d\r\n%b\r\n" % (len(value), value))
                stream.flush()

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listening.getsockname()[1])


# Clients: each is given a server, and returns what it has seen.


def echoes(server: Server, path: str = "/websockify", **headers: str) -> Outcome:
    """Send and receive a few bytes."""
    with Client(server) as client:
        status = client.upgrade(path, **headers)
        if status != 101:
            return status
        client.send(b"hello")
        return client.read(5), client.headers.get("sec-websocket-protocol")


def reaches(path: str, **headers: str) -> Callable[[Server, Setting], Outcome]:
    """Return a client that reports which target it has reached, or how that failed."""

    def run(server: Server, setting: Setting) -> Outcome:
        with Client(server) as client:
            status = client.upgrade(path, **headers)
            if status != 101:
                return status
            return client.read(1).decode() or client.end()[1]

    return run


def fetches(method: str, path: str, *shown: str, **headers: str) -> Callable[[Server, Setting], Outcome]:
    """Return a client that asks for a file, and reports the status and some headers."""

    def run(server: Server, setting: Setting) -> Outcome:
        with Client(server) as client:
            status = client.request(method, path, **headers)
            body = client.body() if status in (200, 206) and method == "GET" else b""
            return (status, body, *(client.headers.get(name) for name in shown))

    return run


def lists(server: Server, setting: Setting) -> Outcome:
    """Ask for a folder without an index page; report the names in it that are links."""
    with Client(server) as client:
        status = client.request("GET", "/")
        names = re.findall(r'<a href="(?:\./)?([^"]*)"', client.body().decode()) if status == 200 else []
        return status, sorted(names)


def is_refused_by_the_target(server: Server, setting: Setting) -> Outcome:
    """Ask for the target of a token; the reason of ours has a hash that differs from process to process."""
    outcome = reaches("/?token=closed")(server, setting)
    return outcome if outcome == _FAILED else outcome[0]


def sends_empty_messages(server: Server, setting: Setting) -> Outcome:
    """They are no end."""
    with Client(server) as client:
        client.upgrade()
        client.send(b"")
        client.send(b"x")
        client.send(b"")
        client.send(b"y")
        return client.read(2)


def sends_fragments_and_pings(server: Server, setting: Setting) -> Outcome:
    """Control frames may come between fragments."""
    with Client(server) as client:
        client.upgrade()
        client.send(b"ab", fin=False)
        client.send(b"?", PING)
        client.send(b"cd", CONTINUATION)
        found: dict[object, bytes] = {}
        while len(found.get(BINARY, b"")) < 4 or 10 not in found:
            opcode, payload = client.frame()
            found[opcode] = found.get(opcode, b"") + payload
            if opcode in ("end", CLOSE):
                break
        return found


def sends_text(server: Server, setting: Setting) -> Outcome:
    """Only binary messages carry anything."""
    with Client(server) as client:
        client.upgrade()
        client.send(b"text", TEXT)
        data = client.read(4)
        return data or client.end()[1]


def closes(server: Server, setting: Setting) -> Outcome:
    """Send a Close frame; the target gets FIN, and the client the code back."""
    with Client(server) as client:
        client.upgrade()
        client.send(b"last")
        client.read(4)
        client.send((1000).to_bytes(2) + b"bye", CLOSE)
        ended = setting.targets.ended.acquire(timeout=20)
        return ended, client.end()


def vanishes(server: Server, setting: Setting) -> Outcome:
    """End the connection without a Close frame; the target gets FIN."""
    with Client(server) as client:
        client.upgrade()
        client.send(b"last")
        client.read(4)
    return setting.targets.ended.acquire(timeout=20)


def is_closed_by_the_target(server: Server, setting: Setting) -> Outcome:
    """Get what the target has sent, then a Close frame."""
    with Client(server) as client:
        client.upgrade(Origin="http://localhost")
        return client.end()


def carries_a_megabyte(server: Server, setting: Setting) -> Outcome:
    """Both ways, in messages of many sizes."""
    data = bytes(range(256)) * 4096
    with Client(server) as client:
        client.upgrade()

        def send() -> None:
            at = 0
            for size in (1, 125, 126, 65535, 65536, 200_000, 1 << 20):
                client.send(data[at : at + size])
                at += size

        threading.Thread(target=send, daemon=True).start()
        return sha256(client.read(len(data))).hexdigest() == sha256(data).hexdigest()


def speaks_tls(certificate: str | None = None, **headers: str) -> Callable[[Server, Setting], Outcome]:
    """Return a client that uses TLS, with a certificate or without."""

    def run(server: Server, setting: Setting) -> Outcome:
        context = setting.client_tls(certificate) if certificate else setting.tls
        try:
            with Client(server, tls=context) as client:
                status = client.upgrade(**headers)
                if status != 101:
                    return status
                client.send(b"hello")
                return client.read(5), client.socket.version()  # type: ignore[attr-defined]
        except ssl.SSLError:
            return "no handshake"

    return run


def uses_token(server: Server, setting: Setting, **claims: Any) -> Outcome:
    """Go to the target in a signed token."""
    return reaches(f"/websockify?token={setting.token(**claims)}")(server, setting)


def finds_a_new_token(server: Server, setting: Setting) -> Outcome:
    """The file is read again."""
    reaches("/websockify?token=y")(server, setting)
    (setting.folder / "changing").write_text(f"y: 127.0.0.1:{setting.targets.b}\n")
    return reaches("/websockify?token=y")(server, setting)


BASIC = {"Authorization": "Basic " + base64.b64encode(b"ada:pass:word").decode()}
WRONG = {"Authorization": "Basic " + base64.b64encode(b"ada:guess").decode()}

#: The cases: the command line and the client of each.
CASES: Mapping[str, tuple[str, Callable[[Server, Setting], Outcome]]] = {
    "any path": ("fixed", lambda s, _: echoes(s, path="/some/where?x=1")),
    "no subprotocol": ("fixed", lambda s, _: echoes(s)),
    "subprotocol binary": ("fixed", lambda s, _: echoes(s, Sec_WebSocket_Protocol="binary")),
    "subprotocols base64 and binary": (
        "fixed", lambda s, _: echoes(s, Sec_WebSocket_Protocol="base64, binary")
    ),
    "other subprotocol": ("fixed", lambda s, _: echoes(s, Sec_WebSocket_Protocol="chat")),
    "page of another origin": ("fixed", lambda s, _: echoes(s, Origin="https://elsewhere.example")),
    "WebSocket draft 8": ("fixed", lambda s, _: echoes(s, Sec_WebSocket_Version="8")),
    "WebSocket version 99": ("fixed", lambda s, _: echoes(s, Sec_WebSocket_Version="99")),
    "empty messages": ("fixed", sends_empty_messages),
    "fragments and pings": ("fixed", sends_fragments_and_pings),
    "text message": ("fixed", sends_text),
    "megabyte": ("fixed", carries_a_megabyte),
    "Close frame": ("fixed", closes),
    "client gone": ("fixed", vanishes),
    "target closes": ("greet", is_closed_by_the_target),
    "target refuses": ("closed", reaches("/websockify")),
    "IPv6": ("ipv6", reaches("/websockify")),
    "UNIX target": ("unix", reaches("/websockify")),
    "GET without --web": ("fixed", fetches("GET", "/")),
    "HEAD without --web": ("fixed", fetches("HEAD", "/")),
    "POST": ("fixed", fetches("POST", "/", Content_Length="0")),
    "token": ("tokens", reaches("/websockify?token=a")),
    "token at /": ("tokens", reaches("/?token=b")),
    "token with a colon": ("tokens", reaches("/?token=with:colon")),
    "token, escaped": ("tokens", reaches("/?token=%61")),
    "token, IPv6": ("tokens", reaches("/?token=six")),
    "token, IPv6 in brackets": ("tokens", reaches("/?token=brackets")),
    "token, UNIX socket": ("tokens", reaches("/?token=unix")),
    "token, target refuses": ("tokens", is_refused_by_the_target),
    "token in a comment": ("tokens", reaches("/?token=%23c")),
    "unknown token": ("tokens", reaches("/?token=unknown")),
    "no token": ("tokens", reaches("/websockify")),
    "new token": ("changing", finds_a_new_token),
    "directory, first file": ("some", reaches("/?token=a")),
    "directory, second file": ("some", reaches("/?token=b")),
    "file name as token": ("names", reaches("/?token=a")),
    "file name as token, with a path": ("names", reaches("/?token=../../a")),
    "host token": ("host", reaches("/websockify", Host="b:6080")),
    "host token, unknown": ("host", reaches("/websockify", Host="unknown")),
    "JSONTokenApi": ("json", reaches("/?token=a")),
    "BaseTokenAPI": ("text", reaches("/?token=a")),
    "BaseTokenAPI, unknown": ("text", reaches("/?token=b")),
    "JWS": ("jwt", uses_token),
    "JWE": ("jwt", lambda s, x: uses_token(s, x, encrypted=True)),
    "JWT, ended": ("jwt", lambda s, x: uses_token(s, x, exp=int(time.time()) - 5)),
    "JWT, too early": ("jwt", lambda s, x: uses_token(s, x, nbf=int(time.time()) + 30)),
    "JWT, changed": ("jwt", lambda s, x: reaches(f"/?token={x.token()[:-8]}AAAAAAAA")(s, x)),
    "Redis": ("redis", reaches("/?token=a")),
    "Redis, JSON": ("redis", reaches("/?token=json")),
    "Redis, unknown": ("redis", reaches("/?token=b")),
    "no password": ("basic", lambda s, _: with_challenge(s)),
    "wrong password": ("basic", lambda s, _: with_challenge(s, **WRONG)),
    "right password": ("basic", lambda s, _: echoes(s, **BASIC)),
    "other scheme": ("basic", lambda s, _: echoes(s, Authorization="Digest x")),
    "expected origin": ("origin", lambda s, _: echoes(s, Origin="http://pages.example")),
    "unexpected origin": ("origin", lambda s, _: echoes(s, Origin="http://elsewhere.example")),
    "listing": ("web", lists),
    "file": ("web", fetches("GET", "/vnc.html?autoconnect=true", "content-type")),
    "script": ("web", fetches("GET", "/plain/core.js", "content-type")),
    "HEAD of a file": ("web", fetches("HEAD", "/vnc.html", "content-length")),
    "index page": ("web", fetches("GET", "/with%20index/", "content-type")),
    "folder without slash": ("web", fetches("GET", "/plain")),
    "missing file": ("web", fetches("GET", "/nothing")),
    "file outside": ("web", fetches("GET", "/../outside.txt")),
    "file outside, escaped": ("web", fetches("GET", "/%2e%2e/outside.txt")),
    "dotfile": ("web", fetches("GET", "/.secret")),
    "range": ("web", fetches("GET", "/vnc.html", Range="bytes=0-2")),
    "tunnel beside files": ("web", lambda s, _: echoes(s)),
    "no listing": ("file-only", lists),
    "file without listing": ("file-only", fetches("GET", "/vnc.html", "content-type")),
    "files, no password": ("web-auth", fetches("GET", "/vnc.html", "www-authenticate")),
    "files, right password": ("web-auth", fetches("GET", "/vnc.html", "content-type", **BASIC)),
    "plain on the port of TLS": ("tls", lambda s, _: echoes(s)),
    "TLS on the port of plain": ("tls", speaks_tls()),
    "TLS": ("ssl-only", speaks_tls()),
    "plain with --ssl-only": ("ssl-only", lambda s, _: echoes(s)),
    "certificate": ("certificates", speaks_tls("ada")),
    "other certificate": ("certificates", speaks_tls("bob")),
    "no certificate": ("certificates", speaks_tls()),
    "claimed certificate": ("certificates", lambda s, _: echoes(s, SSL_CLIENT_S_DN_CN="ada")),
    "claimed certificate in lower case": (
        "certificates", lambda s, _: echoes(s, ssl_client_s_dn_cn="ada")
    ),
}  # fmt: skip


def with_challenge(server: Server, **headers: str) -> Outcome:
    """Ask for a tunnel; report the status and the challenge."""
    with Client(server) as client:
        return client.upgrade(**headers), client.headers.get("www-authenticate")


_FAILED = (1011, "Failed to connect to downstream server")
_DROPPED = ("dropped", 404)
#: What differs: websockify's outcome, and ours.
DIFFERENCES: Mapping[str, tuple[Outcome, Outcome]] = {
    "subprotocols base64 and binary": (400, (b"hello", "binary")),
    "other subprotocol": (400, (b"hello", None)),
    "WebSocket draft 8": ((b"hello", None), 426),
    "WebSocket version 99": (400, 426),
    "text message": ((1003, "Unsupported: Text frames are not supported"), b"text"),
    "target refuses": (_FAILED, (4502, "refused: target refused the connection")),
    "POST": ((501, b""), (405, b"")),
    "token, IPv6 in brackets": (_FAILED, "6"),
    "token, target refuses": (_FAILED, 4502),
    "token in a comment": _DROPPED,
    "unknown token": _DROPPED,
    "no token": ("dropped", 400),
    "host token, unknown": _DROPPED,
    "BaseTokenAPI, unknown": _DROPPED,
    "JWE": ("dropped", "A"),
    "JWT, ended": _DROPPED,
    "JWT, too early": _DROPPED,
    "JWT, changed": _DROPPED,
    "Redis, unknown": _DROPPED,
    "listing": (
        (200, [".secret", "plain/", "vnc.html", "with%20index/"]),
        (200, ["plain/", "vnc.html", "with%20index/"]),
    ),
    "folder without slash": ((301, b""), (308, b"")),
    "dotfile": ((200, b"secret"), (404, b"")),
    "range": ((200, b"<p>page"), (206, b"<p>")),
    "no certificate": ("dropped", 403),
    "claimed certificate in lower case": ((b"hello", None), 403),
}
#: How many command lines are tried at the same time.
_AT_A_TIME = 3


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """What the cases share."""
    made = Setting(tmp_path_factory.mktemp("setting"))
    yield made
    made.targets.close()


@pytest.fixture(scope="module")
def outcomes(
    setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Outcome, Outcome]]:
    """The outcome of each case: of websockify, and of ours."""
    folder, lines = tmp_path_factory.mktemp("servers"), setting.lines()
    found: dict[str, tuple[Outcome, Outcome]] = {}

    def run(line: str) -> None:
        with pair(folder / line, lines[line]) as both:
            for name, (needed, client) in CASES.items():
                if needed == line:
                    theirs, ours = (client(server, setting) for server in both)
                    found[name] = (theirs, ours)
        assert "Traceback" not in both[1].log, both[1].log

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(run, lines))
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_outcome_is_the_same_or_better(
    name: str, outcomes: Mapping[str, tuple[Outcome, Outcome]]
) -> None:
    """Where it differs, it is what `DIFFERENCES` has."""
    theirs, ours = outcomes[name]
    assert (theirs, ours) == DIFFERENCES.get(name, (theirs, theirs))
    assert (name in DIFFERENCES) == (theirs != ours)


def test_the_documentation_has_every_difference() -> None:
    """One row each, with the reason."""
    page = (Path(__file__).parents[2] / "docs" / "websockify.md").read_text("utf-8")
    table = page.partition("## What differs")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE)
    assert rows[2:] == list(DIFFERENCES)

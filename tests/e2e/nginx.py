"""nginx in front of a gateway, started for a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.backends import closed_port
from tests.e2e.gateway import GatewayProcess, need
from tests.e2e.support import accepts, running, until

_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    {temporary}
    server {{
        {server}
    }}
}}
"""
#: TLS, and the gateway below a path.
_IN_FRONT = """
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        location /gateway/ {{
            {rule}
            proxy_pass http://127.0.0.1:{gateway}/;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_buffering off;
        }}
"""
#: Responds with where the PROXY protocol says that the client is.
_AS_TARGET = """
        listen 127.0.0.1:{port} proxy_protocol;
        default_type text/plain;
        return 200 "$proxy_protocol_addr $proxy_protocol_port";
"""
#: noVNC's files, and a gateway for its tunnels; docs/novnc.md shows the same.
_WITH_NOVNC = """
        listen 127.0.0.1:{port};
        root /usr/share/novnc;
        types {{
            text/html html;
            text/css css;
            text/javascript js;
            image/svg+xml svg;
        }}
        location = /websockify {{
            proxy_pass http://127.0.0.1:{gateway};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            proxy_read_timeout 1h;
        }}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(folder: Path, gateway: GatewayProcess, certificate: Path, rule: str = "") -> Iterator[str]:
    """Run nginx in front of a gateway, with one more rule about its requests; give the URL."""
    with _running(folder, _IN_FRONT, certificate=certificate, rule=rule, gateway=gateway.port) as port:
        yield f"https://127.0.0.1:{port}/gateway/"


@contextmanager
def nginx_as_target(folder: Path) -> Iterator[int]:
    """Run nginx that reads the PROXY protocol; give its port."""
    with _running(folder, _AS_TARGET) as port:
        yield port


@contextmanager
def nginx_with_novnc(folder: Path, gateway: GatewayProcess) -> Iterator[str]:
    """Run nginx that serves Debian's noVNC and gets its tunnels from a gateway; give the URL."""
    with _running(folder, _WITH_NOVNC, gateway=gateway.port) as port:
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def _running(folder: Path, server: str, **values: object) -> Iterator[int]:
    port = closed_port()
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in _TEMPORARY)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _NGINX.format(folder=folder, temporary=temporary, server=server.format(port=port, **values))
    )
    command = [need("nginx"), "-c", str(configuration), "-p", str(folder)]
    with running(command, folder / "nginx.log"):
        until(lambda: accepts(port))
        yield port

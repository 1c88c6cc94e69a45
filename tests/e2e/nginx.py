"""nginx in front of a gateway, started for a test."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.backends import closed_port
from tests.e2e.gateway import GatewayProcess, need
from tests.e2e.support import until
from tests.e2e.wsclient import DEADLINE

#: TLS, and the gateway below a path.
_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    {temporary}
    server {{
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
    }}
}}
"""


def _listens(port: int) -> bool:
    """Whether a connection to this port is accepted."""
    try:
        with socket.create_connection(("127.0.0.1", port), DEADLINE):
            return True
    except ConnectionRefusedError:
        return False


@contextmanager
def nginx(folder: Path, gateway: GatewayProcess, certificate: Path, rule: str = "") -> Iterator[str]:
    """Run nginx in front of a gateway, with one more rule about its requests; give the URL."""
    port = closed_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    values = {"folder": folder, "port": port, "gateway": gateway.port, "certificate": certificate}
    configuration = folder / "nginx.conf"
    configuration.write_text(_NGINX.format(**values, temporary=temporary, rule=rule))
    process = subprocess.Popen([need("nginx"), "-c", str(configuration), "-p", str(folder)])
    try:
        until(lambda: _listens(port))
        yield f"https://127.0.0.1:{port}/gateway/"
    finally:
        process.terminate()
        process.wait(DEADLINE)

"""Start the demo of the `twistd` beside this Python, wait until it listens, and make one request."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

DEMO = ("-n", "--pidfile=", "--logfile=-", "portofcall", "--demo", "--listen", "tcp:0:interface=127.0.0.1")

with subprocess.Popen(
    [Path(sys.executable).with_name("twistd"), *DEMO], stdout=subprocess.PIPE, text=True
) as process:
    assert process.stdout is not None
    log = ""
    try:
        for line in process.stdout:
            log += line
            if "demo chargen" in line:
                break
        url = re.search(r"listening on (http://\S+)", log)
        echo = re.search(r"demo echo on (\S+):(\d+),", log)
        assert url, log
        assert echo, log
        body = json.dumps({"host": echo[1], "port": int(echo[2])}).encode()
        with urllib.request.urlopen(f"{url[1]}/api/ping", body, timeout=10) as response:
            answer = json.load(response)
        assert answer["success"], answer
        print(answer)
        page = urllib.request.Request(f"{url[1]}/", headers={"Accept": "text/html"})
        with urllib.request.urlopen(page, timeout=10) as response:
            script = re.search(r'src="(static/app-\w+\.js)"', response.read().decode())
        assert script, "the page is not built"
        with urllib.request.urlopen(f"{url[1]}/{script[1]}", timeout=10) as response:
            assert "immutable" in response.headers["Cache-Control"], response.headers
    finally:
        process.terminate()

"""Writes recording.json: what a real engine answers to the screen, for the snapshot tests.

    .venv/bin/python tests/tui/record.py /path/to/bay.sock

Run it against an engine on which `dev/demo.py` has built its shop, once the shop has run for two
minutes. Long logs and lists are recorded as they are.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any

RECORDING = Path(__file__).with_name("recording.json")


def main(path: str) -> None:
    recorded: dict[str, Any] = {"time": time.time(), "replies": {}}

    def take(target: str) -> Any:
        connection = HTTPConnection("bay")
        connection.sock = socket(AF_UNIX, SOCK_STREAM)
        connection.sock.connect(path)
        connection.request("GET", target)
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        entry: dict[str, Any] = {"status": reply.status}
        try:
            entry["json"] = json.loads(body) if body else None
        except ValueError:
            entry["bytes"] = base64.b64encode(body).decode()
        recorded["replies"][target.partition("?")[0]] = entry
        return entry.get("json")

    for target in ("/version", "/info", "/networks", "/volumes", "/system/df"):
        take(target)
    take("/bay/samples?seconds=120")
    now = int(time.time())
    take(f"/events?since={now - 3600}&until={now}")
    for image in take("/images/json"):
        take(f"/images/{image['Id']}/json")
        take(f"/images/{image['Id']}/history")
    for network in recorded["replies"]["/networks"]["json"]:
        take(f"/networks/{network['Id']}")
    for volume in recorded["replies"]["/volumes"]["json"]["Volumes"]:
        take(f"/volumes/{volume['Name']}")
    for container in take("/containers/json?all=1&size=1"):
        base = f"/containers/{container['Id']}"
        take(f"{base}/json")
        take(f"{base}/logs?stdout=1&stderr=1&timestamps=1&tail=60")
        take(f"{base}/changes")
        if container["State"] == "running":
            take(f"{base}/top")
    RECORDING.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

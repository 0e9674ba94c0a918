"""The Dockerfile that this product was commissioned with, built whole and run."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.building import Kitchen
from support.engine import EngineProcess
from support.waiting import wait_until

# A Debian with node, npm and a package archive of its own stands in for Ubuntu's: what it
# downloads from is reachable wherever the test runs.
BASE = """FROM base
COPY node/ /
RUN mkdir -p /repo /pkg/DEBIAN /pkg/usr/bin && cd /repo && \\
    printf '#!/bin/sh\\necho greetings\\n' > /pkg/usr/bin/greet && chmod +x /pkg/usr/bin/greet && \\
    printf 'Package: greet\\nVersion: 1\\nArchitecture: all\\nMaintainer: t\\nDescription: t\\n' \\
      > /pkg/DEBIAN/control && dpkg-deb -b /pkg greet.deb && \\
    { dpkg-deb -f greet.deb; echo "Filename: ./greet.deb"; \\
      echo "Size: $(stat -c %s greet.deb)"; \\
      echo "SHA256: $(sha256sum greet.deb | cut -d' ' -f1)"; echo; } > Packages && \\
    rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* && \\
    echo 'deb [trusted=yes] file:/repo ./' > /etc/apt/sources.list
"""
EXAMPLE = """# The base image
FROM ubuntu:14.04

# Make sure the package lists are there
RUN apt-get update
RUN apt-get install -y greet
# and that they are up to date
RUN apt-get upgrade -y

# Bundle app source
ADD . /src
# Install app dependencies
RUN cd /src; npm install

ENV PORT 3001
ENV NODE_ENV development

EXPOSE 3001
# Start
CMD ["node", "/src/server.js"]
"""
SERVER = """const http = require('http');
http.createServer((request, response) => {
  response.end(`${process.env.NODE_ENV} ${request.url}\\n`);
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
"""


def node_tree(folder: Path) -> None:
    """The host's node with its libraries, and its npm, as files of an image."""
    program = shutil.which("node")
    assert program, "no node: run `dev/setup.sh test`"
    (folder / "usr/bin").mkdir(parents=True)
    shutil.copy(Path(program).resolve(), folder / "usr/bin/node")
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for word in told.split():
        if word.startswith("/") and Path(word).exists():
            place = folder / "usr/lib/node-libraries" / Path(word).name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, place)
    npm = shutil.which("npm")
    if npm is not None:
        whole = Path(npm).resolve().parent.parent
        shutil.copytree(whole, folder / "usr/lib/node_modules/npm", symlinks=True)
        script = '#!/bin/sh\nexec node /usr/lib/node_modules/npm/bin/npm-cli.js "$@"\n'
    else:  # a node alone: nothing is to be installed anyway
        script = "#!/bin/sh\ntest -f package.json && echo up to date\n"
    (folder / "usr/bin/npm").write_text(script)
    (folder / "usr/bin/npm").chmod(0o755)


@pytest.fixture
def ubuntu(engine: EngineProcess, debian_image: str, tmp_path: Path) -> Iterator[Kitchen]:
    """The base under the name that the example has for it; a kitchen for the example."""
    engine.pull(debian_image)
    base = Kitchen(engine, debian_image, tmp_path / "base")
    base.folder.mkdir()
    node_tree(base.folder / "node")
    done = base.run(BASE, "-t", "ubuntu:14.04", timeout=240)
    assert done.returncode == 0, done.stderr
    app = Kitchen(engine, debian_image, tmp_path / "app")
    app.folder.mkdir()
    yield app
    engine.remove_containers()
    engine.bay("rmi", "-f", "ubuntu:14.04", "commissioned")


def test_the_commissioned_example(ubuntu: Kitchen) -> None:
    """Built by bay and, from the cache, by docker; its published port answers."""
    engine = ubuntu.engine
    ubuntu.files({
        "server.js": SERVER,
        "package.json": '{"name": "x", "version": "1.0.0", "private": true}',
    })  # fmt: skip
    done = ubuntu.run(EXAMPLE, "-t", "commissioned", timeout=240)
    assert done.returncode == 0, done.stderr
    assert "Setting up greet" in done.stderr
    again = ubuntu.run(EXAMPLE, "-t", "commissioned", with_docker=True, timeout=240)
    assert again.returncode == 0 and again.stdout.count("Using cache") == 9, again.stdout
    config = ubuntu.config("commissioned")
    assert config["Cmd"] == ["node", "/src/server.js"] and set(config["ExposedPorts"]) == {
        "3001/tcp"
    }
    assert {"PORT=3001", "NODE_ENV=development"} <= set(config["Env"])
    name = engine.bay(
        "run", "-d", "-p", "127.0.0.1::3001", "commissioned", check=True
    ).stdout.strip()
    port = engine.bay("port", name, "3001", check=True).stdout.strip()

    def answer() -> str:
        try:
            with urllib.request.urlopen(f"http://{port}/hello", timeout=30) as response:
                return str(response.read().decode())
        except OSError:
            return ""

    wait_until(answer, "the published port answers", timeout=240)
    assert answer() == "development /hello\n"
    assert engine.bay("exec", name, "greet", check=True).stdout == "greetings\n"

"""docker-py's own integration tests against dockerd and against this engine, on this machine.

    sudo .venv/bin/python dev/docker_py.py CHECKOUT [--engine docker|bay] [-- PYTEST ARGUMENTS]

CHECKOUT is a clone of docker-py; nothing of it comes into this repository. Everything runs in a
network and mount namespace of its own, with a registry that stands in for Docker Hub.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.engine import SBIN, EngineProcess  # noqa: E402 - the path comes first
from support.images import busybox  # noqa: E402 - the path comes first
from support.registry import BuiltImage, Registry  # noqa: E402 - the path comes first

INSIDE = "BAY_DOCKER_PY_INSIDE"
ETC = Path("/etc/bay")
# What an engine of one host has not, and what asks no engine at all.
LEFT_OUT = ("swarm", "service", "node", "secret", "config", "plugin", "context")
SWARM_TESTS = "not attachable and not ingress and not swarm and not with_scope"
API_VERSION = "1.41"


def environment(host: str, folder: Path) -> dict[str, str]:
    """What the tests run with: no configuration of the user's, and one API version for both."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BAY_", "DOCKER_"))}
    version = os.environ.get("DOCKER_TEST_API_VERSION", API_VERSION)
    return {
        **kept,
        "PATH": kept.get("PATH", "") + SBIN,
        "HOME": str(folder),
        "DOCKER_HOST": host,
        "DOCKER_CONFIG": str(folder / "docker"),
        "DOCKER_TEST_API_VERSION": version,
    }


def venv(checkout: Path) -> Path:
    """The checkout installed with what its tests import, in a folder beside it."""
    place = checkout.with_name(checkout.name + ".venv")
    if not (place / "bin/pytest").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        wanted = [str(checkout), "pytest", "pytest-timeout", "paramiko", "websocket-client"]
        version = {"SETUPTOOLS_SCM_PRETEND_VERSION": "7.2.0"}
        pip = [str(place / "bin/pip"), "install", "--quiet", *wanted]
        subprocess.run(pip, check=True, env={**os.environ, **version})
    return place


def hub(registry: Registry, folder: Path) -> None:
    """The images that the tests take from Docker Hub, each with an id of its own.

    busybox stands for all; alpine has the user and the folder that the tests ask for.
    """
    image = busybox()
    registry.push(image, "library/busybox")
    packed = folder / "more.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        for name, mode in (("var", 0o755), ("var/opt", 0o755)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        users = b"root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size, entry.mode = len(users), 0o644
        archive.addfile(entry, io.BytesIO(users))
    diff_id = "sha256:" + hashlib.sha256(gzip.decompress(packed.read_bytes())).hexdigest()
    config = json.loads(image.config)
    config["rootfs"]["diff_ids"].append(diff_id)
    config["history"].append({"created": "2024-01-01T00:00:00Z", "created_by": "users"})
    for number, tag in enumerate(("3.10", "latest"), 1):
        config["created"] = f"2024-01-0{number}T00:00:00Z"
        made = BuiltImage(json.dumps(config).encode(), (*image.layers, packed))
        registry.push(made, "library/alpine", tag)
    config = json.loads(image.config)
    config["config"]["Cmd"] = ["echo", "Hello from Docker!"]
    hello = BuiltImage(json.dumps(config).encode(), image.layers)
    registry.push(hello, "library/hello-world")


def run(checkout: Path, host: str, more: list[str]) -> dict[str, str]:
    """Each test's outcome (passed, failed, error, skipped) by its name."""
    folder = Path(tempfile.mkdtemp(prefix="bb-py-", dir="/tmp"))
    report = folder / "report.xml"
    argv = [str(venv(checkout) / "bin/python"), "-m", "pytest", "tests/integration", "-q"]
    argv += ["-p", "no:cacheprovider", "--timeout", "120", f"--junitxml={report}", "--tb=short"]
    argv += ["-k", SWARM_TESTS, "--ignore=tests/integration/credentials"]
    files = sorted((checkout / "tests/integration").glob("*_test.py"))
    for file in files:
        if any(word in file.name for word in LEFT_OUT):
            argv.append(f"--ignore={file.relative_to(checkout)}")
    try:
        subprocess.run([*argv, *more], cwd=checkout, env=environment(host, folder), check=False)
        return outcomes(report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def outcomes(report: Path) -> dict[str, str]:
    """What a JUnit report says."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        words = (child.tag for child in case if child.tag in ("failure", "error", "skipped"))
        name = f"{case.get('classname', '').removeprefix('tests.integration.')}.{case.get('name')}"
        found[name] = next(words, "passed")
    return found


def with_docker(checkout: Path, mirror: str, more: list[str]) -> dict[str, str]:
    """The tests against a dockerd of our own."""
    folder = Path(tempfile.mkdtemp(prefix="bb-", dir="/tmp"))
    socket = folder / "docker.sock"
    argv = ["dockerd", "--host", f"unix://{socket}", "--registry-mirror", mirror]
    argv += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "run")]
    argv += ["--pidfile", str(folder / "pid"), "--storage-driver", "overlay2"]
    env = {**os.environ, "PATH": os.environ["PATH"] + SBIN}
    log = folder / "log"
    with open(log, "wb") as out:
        child = subprocess.Popen(argv, stdout=out, stderr=out, env=env, start_new_session=True)
    try:
        for _ in range(300):
            if socket.exists() or child.poll() is not None:
                break
            time.sleep(0.1)
        if child.poll() is not None:
            raise SystemExit(log.read_text(errors="replace")[-3000:])
        return run(checkout, f"unix://{socket}", more)
    finally:
        child.terminate()
        child.wait(timeout=60)
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(f"{folder}/"):
                subprocess.run(["umount", "-l", line.split()[4]], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def with_bay(checkout: Path, mirror: str, more: list[str]) -> dict[str, str]:
    """The tests against an engine of this checkout's."""
    (ETC / "registries.toml").write_text(f'[mirrors]\n"docker.io" = ["{mirror}"]\n')
    engine = EngineProcess()
    try:
        engine.start()
        return run(checkout, engine.host, more)
    finally:
        print(engine.tail(40), file=sys.stderr)
        engine.purge()


def inside(arguments: argparse.Namespace) -> int:
    """The runs, in namespaces of their own."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "bay", str(ETC)], check=True)
    # As on a host with systemd: some tests ask for mounts that propagate.
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    engines = {"docker": with_docker, "bay": with_bay}
    registry = Registry()
    results = {}
    try:
        hub(registry, registry.folder)
        for name in [arguments.engine] if arguments.engine else list(engines):
            mirror = f"http://{registry.address}"
            results[name] = engines[name](arguments.checkout, mirror, arguments.more)
    finally:
        registry.stop()
    for name, found in results.items():
        print(f"{name}: {dict(sorted(Counter(found.values()).items()))}")
    if len(results) < 2:
        return 0
    theirs, ours = results["docker"], results["bay"]
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != "passed" or ours.get(name) != "passed":
            print(f"  {name}: docker {theirs.get(name)}, bay {ours.get(name)}")
    worse = [n for n, word in theirs.items() if word == "passed" and ours.get(n) != "passed"]
    print(f"{len(worse)} tests pass with docker and not here")
    return 1 if worse else 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("checkout", type=lambda text: Path(text).resolve())
    parser.add_argument("--engine", choices=("docker", "bay"))
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:cut])
    arguments.more = words[cut + 1 :]
    if os.environ.get(INSIDE):
        return inside(arguments)
    venv(arguments.checkout)
    made = not ETC.exists()
    ETC.mkdir(exist_ok=True)
    env = {**os.environ, INSIDE: "1", "PATH": os.environ["PATH"] + SBIN}
    argv = ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, *sys.argv]
    try:
        return subprocess.run(argv, env=env, check=False).returncode
    finally:
        if made:
            ETC.rmdir()


if __name__ == "__main__":
    sys.exit(main())

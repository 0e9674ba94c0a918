"""Two hundred containers on one bridge, each with a published port, in a namespace of their own.

    sudo .venv/bin/python dev/crowd.py [COUNT]

Prints what one more costs as they become more, checks that each answers on its port, removes them
all, and says what is left behind.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.engine import SBIN, EngineProcess

APART = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
FIRST_PORT = 20000
SCRIPT = "echo $0 > /index.html; exec httpd -f -p 80 -h /"


def start(engine: EngineProcess, number: int) -> float:
    """Make and start one container over the API; milliseconds."""
    body = {
        "Image": "starter",
        "Entrypoint": ["sh", "-c", SCRIPT, str(number)],
        "HostConfig": {
            "NetworkMode": "crowd",
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": str(FIRST_PORT + number)}]},
        },
    }
    began = time.monotonic()
    made = engine.api("POST", f"/containers/create?name=crowd-{number}", body)
    assert made.status == 201, made.body
    answer = engine.api("POST", f"/containers/crowd-{number}/start")
    assert answer.status == 204, answer.body
    return (time.monotonic() - began) * 1000


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(engine: EngineProcess, count: int) -> int:
    """How many say their own number on their port."""
    loop = (
        f"for i in $(seq 0 {count - 1}); do curl -s -m 5 http://127.0.0.1:$(({FIRST_PORT}+i)); done"
    )
    argv = ["nsenter", "-t", str(engine.pid), "-n", "sh", "-c", loop]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return sum(line == str(number) for number, line in enumerate(done.stdout.split()))


def main() -> None:
    """See the module."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    os.environ["PATH"] += SBIN
    engine = EngineProcess(prefix=APART)
    try:
        engine.start()
        made = engine.api("POST", "/networks/create", {"Name": "crowd"})
        assert made.status == 201, made.body
        taken, used = [], []
        for number in range(count):
            before = cpu(engine.pid)
            taken.append(start(engine, number))
            used.append((cpu(engine.pid) - before) * 1000)
        step = max(count // 5, 1)
        for begin in range(0, count, step):
            part = slice(begin, begin + step)
            print(
                f"containers {begin + 1:>3} to {min(begin + step, count):>3}: "
                f"median {statistics.median(taken[part]):6.1f} ms, "
                f"engine's CPU {statistics.mean(used[part]):5.1f} ms each"
            )
        print(f"{answers(engine, count)} of {count} answer on their port")
        began = time.monotonic()
        names = [f"crowd-{number}" for number in range(count)]
        engine.bay("rm", "-f", *names, timeout=600, check=True)
        spent = time.monotonic() - began
        print(f"removed in {spent:.1f} s, {spent * 1000 / count:.0f} ms each")
        assert engine.api("DELETE", "/networks/crowd").status == 204
    finally:
        engine.purge()  # raises when anything is left
    print("nothing left behind")


if __name__ == "__main__":
    main()

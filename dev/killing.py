"""`sudo PYTHONPATH=tests .venv/bin/python dev/killing.py [-n 200] [--seed 1]`: the engine is killed
at random moments of pulls, commits, loads, snapshots, builds, pushes and the rest of WORK, or a
process of it that unpacks; each time the next engine's images are read back, its disk is looked
through, and the work is done again. `--size` is that of a layer: those over 2 MiB have a process
of their own.
"""

from __future__ import annotations

import argparse
import collections
import time

from support.engine import EngineProcess
from support.killeddeeds import WORK
from support.killedworld import FILES
from support.killing import Killing


def main() -> None:
    """Kill, look, tell; the first thing that is wrong ends it with the seed to repeat it by."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--size", type=float, default=6, help="MiB of a layer")
    parser.add_argument("--only", choices=[*WORK, "worker"], help="nothing but this")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    engine = EngineProcess()
    engine.start()
    count: collections.Counter[str] = collections.Counter()
    try:
        killing = Killing(engine, options.seed, int(options.size * (1 << 20)) // FILES)
        try:
            while killing.kills < options.kills:
                what = options.only or killing.random.choice([*WORK, "worker"])
                told = killing.worker_dies() if what == "worker" else killing.one(what)
                print(f"{killing.kills}: {told}", flush=True)
                count[what] += 1
        finally:
            killing.close()
    finally:
        engine.purge()
    print(f"{options.kills} kills, all clean: {dict(count)}")


if __name__ == "__main__":
    main()

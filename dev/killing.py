"""`sudo PYTHONPATH=tests .venv/bin/python dev/killing.py [-n 200] [--seed 1]`: the engine is killed
at random moments of pull (and unpack), commit, rmi, prune, load and snapshot; each time the next
engine's images are read back, its disk is looked through, and the work is done again.
"""

from __future__ import annotations

import argparse
import collections
import time

from support.engine import EngineProcess
from support.killing import WORK, Killing


def main() -> None:
    """Kill, look, tell; the first thing that is wrong ends it with the seed to repeat it by."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    engine = EngineProcess()
    engine.start()
    count: collections.Counter[str] = collections.Counter()
    try:
        killing = Killing(engine, options.seed)
        try:
            while killing.kills < options.kills:
                what = killing.random.choice(WORK)
                print(f"{killing.kills + 1}: {killing.one(what)}", flush=True)
                count[what] += 1
        finally:
            killing.close()
    finally:
        engine.purge()
    print(f"{options.kills} kills, all clean: {dict(count)}")


if __name__ == "__main__":
    main()

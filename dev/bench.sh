#!/usr/bin/env bash
# `make bench`: ours beside docker, podman and the bare runtimes, interleaved; arguments go through.
# `dev/bench.sh NAME …` runs bench/NAME.py: `network`, `images`, …; without a name it is `latency`.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"
what=latency
if [ -e "bench/${1:-}.py" ]; then what=$1; shift; fi
# As an installed wheel has it: a `bay` that compiles itself at each start compares nothing.
.venv/bin/python -I dev/editable.py
.venv/bin/python -m compileall -q api cli client core host netns storage tui
# The engine, registry and images are those of the tests.
# exec: a signal to this script is for the measurement, which then takes away what it set up.
PYTHONPATH=tests exec .venv/bin/python "bench/$what.py" "$@"

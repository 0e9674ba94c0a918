#!/usr/bin/env bash
# `make bench`: ours beside docker, podman and the bare runtimes, interleaved; arguments go through.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || exec sudo "$0" "$@"
# The engine, registry and images are those of the tests.
PYTHONPATH=tests .venv/bin/python bench/latency.py "$@"

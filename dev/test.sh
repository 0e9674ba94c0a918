#!/usr/bin/env bash
# Every test, as root: unit, tui, integration and compat, each on its own roots.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH:/usr/sbin:/sbin"
# Much of it waits, for processes and for the disk: three workers keep two processors busy. A file's
# tests stay together and share its fixtures; the longest files, of compat, begin first.
exec pytest tests -n "${BAY_TEST_WORKERS:-3}" --dist loadfile --no-loadscope-reorder "$@"

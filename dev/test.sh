#!/usr/bin/env bash
# Every test, as root: unit, tui, integration and compat, each on its own roots.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH:/usr/sbin:/sbin"
exec pytest tests "$@"

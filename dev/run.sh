#!/usr/bin/env bash
# `make run`: the screen, on the default roots. The engine needs root; a client in group `bay` doesn't.
set -euo pipefail
cd "$(dirname "$0")/.."
socket=/run/bay/bay.sock
if [ "$(id -u)" != 0 ] && [ ! -w "$socket" ] && [ -z "${BAY_HOST:-}" ]; then
  exec sudo --preserve-env=TERM,COLORTERM,LANG "$PWD/.venv/bin/bay" "$@"
fi
exec .venv/bin/bay "$@"

#!/usr/bin/env bash
# Renders screenshots/ (SVG, PNG, a recorded session) from the running app, a real engine and real containers.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || exec sudo -E "$0" "$@"
PATH="$PWD/.venv/bin:$PATH:/usr/sbin:/sbin"
exec python dev/screenshots.py

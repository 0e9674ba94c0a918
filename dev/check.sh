#!/usr/bin/env bash
# Format, lint, strict types, import contract, file lengths, unit tests: no root, under a minute.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
sources=(api cli client core host netns storage tui)
ruff format --check --quiet . || { ruff format --diff . 2>/dev/null | head -40; echo "ruff format: run 'ruff format .'"; exit 1; }
ruff check --quiet .
mypy --no-error-summary $(printf -- '-p bayplan.%s ' "${sources[@]}")
lint-imports --no-cache >/tmp/bay-lint-imports.$$ 2>&1 || { cat /tmp/bay-lint-imports.$$; rm -f /tmp/bay-lint-imports.$$; exit 1; }
rm -f /tmp/bay-lint-imports.$$
long=$(git ls-files -- '*.py' ':!tests/*' ':!dev/*' | xargs -r wc -l | awk '$2 != "total" && $1 > 400 { print $2 ": " $1 " lines" }')
[ -z "$long" ] || { echo "files over 400 lines:"; echo "$long"; exit 1; }
pytest tests/unit
echo "check: all good"

#!/usr/bin/env bash
# Makes .venv with the pinned dependencies and installs the system packages that are missing.
# Argument "test" adds what only the tests use: a registry, peers, a terminal multiplexer; "bench" also what `make bench`
# compares with.
set -euo pipefail
cd "$(dirname "$0")/.."

# command:package pairs; a package is installed only when its command is missing.
needs=(runc:runc crun:crun conmon:conmon busybox:busybox-static ip:iproute2 ps:procps tini:tini)
case "${1:-}" in test | bench) needs+=(docker-registry:docker-registry tmux:tmux skopeo:skopeo debootstrap:debootstrap
  dockerd:docker.io docker-compose:docker-compose nft:nftables iptables:iptables iperf3:iperf3 vim.tiny:vim-tiny htop:htop less:less node:nodejs git:git sshd:openssh-server ssh:openssh-client openssl:openssl podman:podman) ;; esac
[ "${1:-}" = bench ] && needs+=(igzip:isal zstd:zstd buildah:buildah)

# `make screenshots` draws PNGs of the SVGs.
[ "${1:-}" = screenshots ] && needs+=(rsvg-convert:librsvg2-bin)

missing=()
for pair in "${needs[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair#*:}")
done
# The starter image and the tests' images are made of busybox: a dynamic one would not run in them.
if path=$(command -v busybox) && ldd "$path" >/dev/null 2>&1; then missing+=(busybox-static); fi
PATH="$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null | grep libnftables.so.1 >/dev/null || missing+=(libnftables1)
# The distribution's Python is compiled by profile, which those of version managers seldom are: a fifth less for each `bay`.
python=python3
/usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=/usr/bin/python3
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "missing on this host: ${missing[*]}; install them with your package manager (\`bay doctor\` names the commands)" >&2
    exit 1
  fi
  as_root=""; [ "$(id -u)" = 0 ] || as_root="sudo"
  echo "installing system packages: ${missing[*]}"
  log=$(mktemp)
  # Installing docker.io or docker-registry must not start them: dockerd changes the host's firewall.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod +x "$policy"
    trap '$as_root rm -f "$policy"' EXIT
  fi
  if ! { $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2; rm -f "$log"; exit 1
  fi
  rm -f "$log"
fi

stamp=.venv/.bay-setup
if [ ! -x .venv/bin/bay ] || [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
  echo "making .venv"
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
  touch "$stamp"
fi
.venv/bin/python -I dev/editable.py
# As an installed wheel has it: where PYTHONDONTWRITEBYTECODE is set, each `bay` would compile itself anew.
.venv/bin/python -m compileall -q api cli client core host netns storage tui

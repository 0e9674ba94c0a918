# Runs inside the virtual machine: what only a cgroup v2 host with an older kernel can show.
failed=0
expect() { # expect WHAT PATTERN COMMAND…: the command's output has the pattern
  local what=$1 pattern=$2 output
  shift 2
  output=$(timeout 120 "$@" 2>&1)
  if grep -qE -- "$pattern" <<<"$output"; then echo "ok    $what"; else
    failed=1
    printf 'FAIL  %s: no %s in the output of %s\n%s\n' "$what" "$pattern" "$*" "$output"
  fi
}
echo "Linux $(uname -r), $(python3 --version), $(cat /sys/fs/cgroup/cgroup.controllers)"
for runtime in crun runc; do
  bay engine --runtime $runtime >/tmp/engine.log 2>&1 &
  until bay engine status >/dev/null 2>&1; do :; done
  expect "$runtime: a container runs" '^hello$' bay run --rm starter echo hello
  bay run -d --name box -m 64m --cpus 0.5 --pids-limit 20 -p 8080:80 starter sh -c \
    'mkdir /w; echo served >/w/index.html; httpd -p 80 -h /w; while :; do :; done' >/dev/null
  expect "$runtime: memory limit" '^67108864$' bay exec box cat /sys/fs/cgroup/memory.max
  expect "$runtime: cpu limit" '^50000 100000$' bay exec box cat /sys/fs/cgroup/cpu.max
  expect "$runtime: cgroup namespace" '^0::/$' bay exec box cat /proc/self/cgroup
  expect "$runtime: published port" served curl -s --max-time 10 http://127.0.0.1:8080/
  expect "$runtime: cpu figure" '^(4[5-9]|5[0-5])\.' bay stats --no-stream --format '{{.CPUPerc}}'
  expect "$runtime: update" '^134217728$' sh -c \
    'bay update --memory 128m --memory-swap 128m box >/dev/null; bay exec box cat /sys/fs/cgroup/memory.max'
  expect "$runtime: pause" Paused sh -c 'bay pause box >/dev/null; bay ps; bay unpause box'
  expect "$runtime: pids limit" "can't fork" bay exec box sh -c \
    'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22; do sleep 5 & done; wait'
  bay run --name oom -m 16m --memory-swap 16m starter sh -c 'head -c 100000000 /dev/zero | tail' >/dev/null 2>&1
  expect "$runtime: out of memory is told" '^true 137$' \
    bay inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom
  expect "$runtime: no swap warning" '^0$' sh -c \
    'bay create -m 16m --memory-swap 16m starter true 2>&1 | grep -c WARNING'
  kill -9 "$(bay engine status | awk '/pid:/{print $2}')"
  expect "$runtime: adopted after kill -9" 'Up .* box$' bay ps
  expect "$runtime: purge" removed bay engine purge --force
  wait
  [ -z "$(ls -d /sys/fs/cgroup/bay* 2>/dev/null; mount | grep bay; ip -br link | grep '^bay')" ] || {
    failed=1
    echo "FAIL  $runtime: something is left"
  }
done
[ $failed = 0 ] && echo "all passed"

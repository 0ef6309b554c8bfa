#!/bin/sh
# Tests on a GPU, of files that were built elsewhere: needs a driver, a shell and coreutils, no Go, no
# network. Use: sh run.sh [FOLDER FOR THE TABLE]. 'make test-cuda-files' makes the folder it lies in.
#
# Exit codes: 0 all passed; 1 something failed; 4 there is no GPU.
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/results}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

say() { printf '%s\n' "$*" >&2; }
note() { printf '%s\n' "$*" >>"$work/notes"; say "$*"; }

# check NAME COMMAND… runs a part and remembers whether it failed.
check() {
  part=$1
  shift
  say "==> $part"
  begin=$(date +%s)
  if "$@" >"$work/log" 2>&1; then result=passed; else result=failed failed=1; tail -n 60 "$work/log" >&2; fi
  grep '^TABLE ' "$work/log" | sed 's/^TABLE //' >>"$work/speed"
  echo "| $part | $result | $(($(date +%s) - begin)) s |" >>"$work/parts"
  say "    $result"
}

if ! "$here/saint" devices >"$work/devices" 2>&1 || grep -q '^gpu *none' "$work/devices"; then
  say "no GPU: $(sed -n 's/^gpu *none: //p' "$work/devices")"
  exit 4
fi
cat "$work/devices" >&2
gpu=$(sed -n 's/^gpu 0 *\([^,]*\),.*/\1/p' "$work/devices")
arch=$(sed -n 's/^gpu 0.*compute capability \([0-9]*\)\.\([0-9]*\).*/sm_\1\2/p' "$work/devices")
: >"$work/speed" >"$work/parts"
: >"$work/notes"

cd "$here" || exit 1
if command -v ptxas >/dev/null; then
  for ptx in kernels/*.ptx; do check "ptxas $arch $(basename "$ptx")" ptxas -arch="$arch" -o /dev/null "$ptx"; done
else
  note "ptxas is not here: the driver alone compiles the kernels."
fi

export SAINT_TEST_GPU=gpu
check "operations against their definition" ./cuda.test -test.run '^TestHardwareConformance$' -test.timeout 20m
check "every kind of network against the CPU, 50 steps" ./cuda.test -test.run '^TestHardwareTraining$' -test.timeout 20m

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -n 1)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck initcheck synccheck; do
    check "compute-sanitizer $tool" "$sanitizer" --tool "$tool" --error-exitcode 9 ./cuda.test -test.run '^TestHardwareTraining$/^(sage_concat|gatv2|codes)$' -test.timeout 30m
  done
else
  note "compute-sanitizer is not here."
fi

# score DEVICE FLAGS… trains and writes the last line of results to a file named after the device.
score() {
  device=$1
  shift
  ./saint train --data_prefix synth:ppi-like --train_config rw.yml --epochs 10 --no_cache --json --run_dir "$work/run-$device" "$@" >"$work/$device.json" &&
    tail -n 1 "$work/$device.json" >"$work/$device.last"
}
value() { sed -n "s/.*\"$2\": *\([-0-9.e]*\).*/\1/p" "$work/$1.last"; }
# parity compares the F1 of two devices; rounding alone may part them.
parity() {
  score cpu --gpu -1 && score gpu --gpu 0 && score host --gpu 0 --features host --cpu_eval || return 1
  for other in gpu host; do
    awk -v a="$(value cpu test_f1_micro)" -v b="$(value $other test_f1_micro)" \
      'BEGIN { d = a - b; if (d < 0) d = -d; print "F1 on the CPU", a, "on the GPU", b; exit !(a > 0 && d <= 0.003) }' || return 1
  done
}
check "ppi-like, 10 epochs: F1 within 0.003 of the CPU's" parity
for name in cpu gpu host; do
  [ -s "$work/$name.last" ] && note "ppi-like, 10 epochs, $name: F1 $(value $name test_f1_micro), $(value $name train_seconds) s of training, $(value $name eval_seconds) s of validation, $(value $name total_seconds) s in all."
done

check "share of bandwidth" ./cuda.test -test.run '^TestHardwareSpeed$' -test.timeout 5m
if ./saint bench step --help 2>/dev/null | grep -q -- '--gpu'; then
  check "saint bench step" ./saint bench step --gpu 0
else
  note "saint bench does not measure steps on a GPU yet."
fi
mkdir -p "$out"
file=$out/gpu-$(printf '%s' "$gpu" | tr -cs 'A-Za-z0-9' '-' | sed 's/-$//' | tr 'A-Z' 'a-z').md
{
  echo "# $gpu"
  echo
  sed 's/^/    /' "$work/devices"
  echo
  echo "| Part | Result | Took |"
  echo "|---|---|---|"
  cat "$work/parts"
  echo
  if [ -s "$work/speed" ]; then
    echo "| Operation | ms | GB/s | of the memory's bandwidth | GFLOP/s |"
    echo "|---|---|---|---|---|"
    cat "$work/speed"
    echo
  fi
  sed 's/^/* /' "$work/notes"
} >"$file"
say "$file"
exit $failed

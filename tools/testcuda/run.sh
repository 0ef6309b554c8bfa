#!/bin/sh
# Tests and figures on a GPU, of files that were built elsewhere: needs a driver, a shell and coreutils, no
# Go, no network. 'make test-cuda-files' makes the folder it lies in.
#
#     sh run.sh [FOLDER FOR THE TABLES] [PART...]
#
# Parts: ptxas tests together sanitizer parity ppi bench whole peer; all of them unless some are named.
# Variables: PRESETS (flickr-like,ppi-like,reddit-like), MATMULS (fp32 tf32 bf16), EPOCHS of the run on
# reddit-like (30), PPI_EPOCHS (300), PYTHON with PyTorch (python3), SAINT_TEST_DATA with a folder ppi,
# SAINT_CUDA_LIBS where cuBLAS and NCCL may lie.
#
# Exit codes: 0 all passed; 1 something failed; 4 there is no GPU.
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/results}
[ $# -gt 0 ] && shift
parts=${*:-ptxas tests together sanitizer parity ppi bench whole peer}
presets=${PRESETS:-flickr-like,ppi-like,reddit-like}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

say() { printf '%s\n' "$*" >&2; }
note() { printf '%s\n' "$*" >>"$work/notes"; say "$*"; }
wanted() { case " $parts " in *" $1 "*) true ;; *) false ;; esac; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }

# check NAME COMMAND… runs a part and remembers whether it failed.
check() {
  part=$1
  shift
  say "==> $part"
  begin=$(now)
  if "$@" >"$work/log" 2>&1; then result=passed; else result=failed failed=1; tail -n 60 "$work/log" >&2; fi
  grep '^TABLE ' "$work/log" | sed 's/^TABLE //' >>"$work/speed"
  grep '^NOTE ' "$work/log" | sed 's/^NOTE //' >>"$work/notes"
  grep -q '^--- SKIP\|^SKIP' "$work/log" && result="$result, in part skipped"
  echo "| $part | $result | $(since "$begin") s |" >>"$work/parts"
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
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd)
name=gpu-$(printf '%s' "$gpu" | tr -cs 'A-Za-z0-9' '-' | sed 's/-$//' | tr 'A-Z' 'a-z')
cd "$here" || exit 1
export SAINT_TEST_GPU="${SAINT_TEST_GPU:-gpu}"
unit() { ./cuda.test -test.v -test.run "$1" -test.timeout 30m; }

if wanted ptxas; then
  if command -v ptxas >/dev/null; then
    for ptx in kernels/*.ptx; do check "ptxas $arch $(basename "$ptx")" ptxas -arch="$arch" -o /dev/null "$ptx"; done
  else
    note "ptxas is not here: the driver alone compiles the kernels."
  fi
fi

if wanted tests; then
  check "operations against their definition" unit '^TestHardwareConformance$'
  check "products of cuBLAS against the CPU, and again to the bit" unit '^TestHardwareProducts$'
  check "every kind of network against the CPU, 50 steps" unit '^TestHardwareTraining$'
  check "share of bandwidth" unit '^TestHardwareSpeed$'
fi

if wanted together; then
  if grep -q '^gpu 1' "$work/devices"; then
    check "two GPUs against one that accumulates" unit '^TestHardwareTogether$'
  else
    note "There is one GPU: training on several was not tried."
  fi
fi

if wanted sanitizer; then
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -n 1)
  if [ -n "$sanitizer" ]; then
    for tool in memcheck racecheck initcheck synccheck; do
      check "compute-sanitizer $tool" "$sanitizer" --tool "$tool" --error-exitcode 9 ./cuda.test -test.run '^TestHardwareTraining$/^own$/^(sage_concat|gatv2|codes)$' -test.timeout 30m
    done
  else
    note "compute-sanitizer is not here."
  fi
fi

# score NAME FLAGS… trains and writes the last line of results to a file of that name.
score() {
  run=$1
  shift
  rm -rf "$work/run-$run"
  ./saint train --no_cache --json --run_dir "$work/run-$run" "$@" >"$work/$run.json" && tail -n 1 "$work/$run.json" >"$work/$run.last"
}
value() { sed -n "s/.*\"$2\": *\([-0-9.e]*\).*/\1/p" "$work/$1.last"; }
seconds() { awk -v v="$(value "$1" "$2")" 'BEGIN { printf "%.2f s", v }'; }
told() { echo "NOTE $2, $1: F1 $(value "$1" test_f1_micro), $(seconds "$1" train_seconds) of training ($(seconds "$1" sample_wait_seconds) of it waiting for subgraphs), $(seconds "$1" eval_seconds) of validation, $(seconds "$1" total_seconds) in all."; }
# near A B compares the F1 of two runs; rounding alone may part them.
near() {
  awk -v a="$(value "$1" test_f1_micro)" -v b="$(value "$2" test_f1_micro)" \
    'BEGIN { d = a - b; if (d < 0) d = -d; print "F1", a, "and", b; exit !(a > 0 && d <= 0.003) }'
}
parity() {
  set -- --data_prefix "synth:${PARITY_PRESET:-ppi-like}" --train_config "${PARITY_CONFIG:-rw.yml}" --epochs "${PARITY_EPOCHS:-10}"
  score cpu --gpu -1 "$@" && score gpu --gpu 0 "$@" && score host --gpu 0 --features host --cpu_eval "$@" || return 1
  for run in cpu gpu host; do told $run "${PARITY_PRESET:-ppi-like}"; done
  near cpu gpu && near cpu host
}
wanted parity && check "${PARITY_PRESET:-ppi-like}: F1 within 0.003 of the CPU's" parity

ppi() {
  set -- --data_prefix "$SAINT_TEST_DATA/ppi" --train_config table2/ppi2_rw.yml --epochs "${PPI_EPOCHS:-300}"
  score ppi-gpu --gpu 0 --cpu_eval "$@" && told ppi-gpu PPI && score ppi-cpu --gpu -1 "$@" && told ppi-cpu PPI && near ppi-cpu ppi-gpu
}
if wanted ppi; then
  if [ -d "${SAINT_TEST_DATA:-/nowhere}/ppi" ]; then
    check "PPI: F1 within 0.003 of the CPU's" ppi
  else
    note "SAINT_TEST_DATA has no folder ppi: the run on PPI was left out."
  fi
fi

# bench MATMUL measures everything, into a table and lines of JSON.
bench() {
  set -- --gpu 0 --preset "$presets" --matmul "$1" ${BENCH_CONFIG:+--train_config "$BENCH_CONFIG"} ${BENCH_REPEATS:+--repeats "$BENCH_REPEATS"}
  ./saint bench "${BENCH:-all}" "$@" ${BENCH_SHAPES:+--shapes "$BENCH_SHAPES"} --markdown "$work/bench.md" --json >"$work/bench.json" || return 1
  cat "$work/bench.json" >>"$out/$name.json"
  sed 's/^#/##/' "$work/bench.md" >>"$work/figures"
}
if wanted bench; then
  rm -f "$out/$name.json"
  for matmul in ${MATMULS:-fp32 tf32 bf16}; do check "saint bench, matmul $matmul" bench "$matmul"; done
fi

# whole is a run from Enter to the final F1, with every validation.
whole() {
  set -- --data_prefix "synth:${WHOLE_PRESET:-reddit-like}" --train_config "${WHOLE_CONFIG:-rw.yml}" --epochs "${EPOCHS:-30}" --gpu 0 --matmul "${WHOLE_MATMUL:-tf32}"
  for run in whole whole-cpu_eval; do
    begin=$(now)
    score $run "$@" || return 1
    echo "NOTE ${WHOLE_PRESET:-reddit-like}, ${EPOCHS:-30} epochs, $run: $(since "$begin") s from Enter to the final F1."
    told $run "${WHOLE_PRESET:-reddit-like}"
    set -- "$@" --cpu_eval
  done
}
wanted whole && check "a whole run" whole

# peer measures PyTorch on the same subgraphs and compares the steps.
peer() {
  for preset in $(echo "$presets" | tr ',' ' '); do
    rm -rf "$work/export"
    ./saint bench export --preset "$preset" --out "$work/export" --count 40 ${BENCH_CONFIG:+--train_config "$BENCH_CONFIG"} >/dev/null || return 1
    "$python" peer_torch.py "$work/export" --device "${PEER_DEVICE:-cuda}" --what losses,step,eval --compile --json >"$work/peer.json" || return 1
    cat "$work/peer.json" >>"$out/$name-peer.json"
    sed -n "s/.*\"type\": \"peer\", \"name\": \"\([^\"]*\)\", \"value\": \([0-9.e]*\), \"unit\": \"\([a-z]*\)\".*/NOTE PyTorch, \1: \2 \3/p" "$work/peer.json"
  done
}
if wanted peer; then
  python=${PYTHON:-python3}
  if "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null || [ "${PEER_DEVICE:-cuda}" = cpu ]; then
    rm -f "$out/$name-peer.json"
    check "PyTorch on the same subgraphs" peer
  else
    note "$python has no PyTorch with CUDA: the peer was not measured."
  fi
fi

file=$out/$name.md
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
  if [ -s "$work/figures" ]; then
    echo
    cat "$work/figures"
  fi
} >"$file"
say "$file"
exit $failed

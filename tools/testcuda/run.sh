#!/bin/sh
# Tests and figures on a GPU, of files that were built elsewhere: needs a driver, a shell and coreutils (or
# busybox), no Go, no network. 'make test-cuda-files' makes the folder it lies in.
#
#     sh run.sh [FOLDER FOR THE TABLES] [PART...]
#
# Parts, in this order:
#   ptxas      the PTX assembled for this GPU, where ptxas is
#   tests      those five: ops products nets graphs speed
#   parity     a graph like PPI on CPU and GPU
#   together   two GPUs against one, where there are two
#   bench      saint bench all, with every way of multiplying
#   whole      a graph like Reddit from Enter to the final F1
#   peer       PyTorch on the same subgraphs, where it is
#   sanitizer  three networks under compute-sanitizer, where it is
#   ppi        PPI to the end on GPU and CPU, where SAINT_TEST_DATA has it
#   quick      instead of parts: what matters of them, in some minutes (of nine at most)
# All but quick unless some are named. A part that fails does not keep others from running, and the tables
# are written anew after each.
#
# Variables: LIMIT seconds of one command (1800), BUDGET seconds of everything (no limit; what is left then is
# left out), PRESETS (flickr-like,ppi-like,reddit-like), MATMULS (fp32 tf32 bf16), EPOCHS of the run on
# reddit-like (30), PPI_EPOCHS (300), PYTHON with PyTorch (python3), SAINT_TEST_DATA with a folder ppi,
# SAINT_CUDA_LIBS where cuBLAS and NCCL may lie.
#
# Exit codes: 0 all that ran passed; 1 something failed; 2 bad usage; 4 there is no GPU.
all="ptxas ops products nets graphs speed parity together bench whole peer sanitizer ppi"
case ${1:-} in
-h | --help)
  sed -n '2,/^all=/s/^# \{0,1\}//p' "$0"
  exit 0
  ;;
esac
here=$(cd "$(dirname "$0")" && pwd) || exit 1
out=${1:-$here/results}
[ $# -gt 0 ] && shift
parts=${*:-$all}
for part in $parts; do
  case " $all tests quick " in
  *" $part "*) ;;
  *)
    echo "run.sh: there is no part $part; the parts are tests quick $all" >&2
    exit 2
    ;;
  esac
done
case " $parts " in
*" quick "*)
  parts="ops products nets graphs parity bench whole speed"
  BUDGET=${BUDGET:-540} MATMULS=${MATMULS:-tf32} EPOCHS=${EPOCHS:-10} PARITY_EPOCHS=${PARITY_EPOCHS:-5} BENCH_REPEATS=${BENCH_REPEATS:-3}
  ;;
esac
presets=${PRESETS:-flickr-like,ppi-like,reddit-like}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
failed=0

say() { printf '%s\n' "$*" >&2; }
note() { printf '%s\n' "$*" >>"$work/notes" && say "$*"; }
# wanted NAME… says whether one of the names was asked for.
wanted() {
  for word in "$@"; do
    case " $parts " in *" $word "*) return 0 ;; esac
  done
  return 1
}
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
started=$(date +%s)

# left is how many seconds one command may run.
left() {
  most=${LIMIT:-1800}
  if [ -n "${BUDGET:-}" ]; then
    rest=$((BUDGET - $(date +%s) + started))
    [ "$rest" -lt "$most" ] && most=$rest
  fi
  echo "$most"
}
limits=
timeout -k 5 9 true 2>/dev/null && limits=yes
# lim COMMAND… runs it with a limit, where there is a command for that.
lim() {
  if [ -z "$limits" ]; then
    "$@"
    return
  fi
  most=$(left)
  [ "$most" -ge 1 ] || most=1
  timeout -k 10 "$most" "$@"
  code=$?
  [ $code -eq 124 ] && echo "stopped after $most seconds" >&2
  return $code
}

# check NAME COMMAND… runs a part and remembers whether it failed.
check() {
  title=$1
  shift
  if [ -n "${BUDGET:-}" ] && [ $((BUDGET - $(date +%s) + started)) -lt 10 ]; then
    note "$title: left out, the time of $BUDGET seconds is spent."
    return
  fi
  say "==> $title ($(date +%H:%M:%S))"
  begun=$(now)
  "$@" >"$work/log" 2>&1 </dev/null
  code=$?
  result=passed
  if [ $code -ne 0 ]; then
    result="failed ($code)" failed=1
    grep -e '--- FAIL' -e '_test\.go:[0-9]*:' "$work/log" | head -n 60 >&2
    tail -n 40 "$work/log" >&2
  fi
  { echo "==> $title: $result" && cat "$work/log"; } >>"$work/all"
  sed -n 's/^TABLE //p' "$work/log" >>"$work/speed"
  sed -n 's/^NOTE //p' "$work/log" >>"$work/notes"
  sed -n 's/^NOTE /    /p' "$work/log" >&2
  grep -q -e '--- SKIP' "$work/log" && result="$result, in part skipped"
  took=$(since "$begun")
  echo "| $title | $result | $took s |" >>"$work/parts"
  say "    $result, $took s"
  tables
}

# tables writes what there is so far.
tables() {
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
  } >"$out/$name.md"
  tail -c 4000000 "$work/all" >"$out/$name.log"
}

chmod +x "$here/saint" "$here/cuda.test" 2>/dev/null
"$here/saint" devices >"$work/devices" 2>&1
code=$?
if grep -q '^gpu *none' "$work/devices"; then
  say "no GPU: $(sed -n 's/^gpu *none: //p' "$work/devices")"
  exit 4
fi
if [ $code -ne 0 ]; then
  cat "$work/devices" >&2
  say "$here/saint does not run on this machine (exit code $code)"
  exit 1
fi
if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit --format=csv 2>&1 | head -n 20 >>"$work/devices"
fi
cat "$work/devices" >&2
gpu=$(sed -n 's/^gpu 0 *\([^,]*\),.*/\1/p' "$work/devices")
arch=$(sed -n 's/^gpu 0.*compute capability \([0-9]*\)\.\([0-9]*\).*/sm_\1\2/p' "$work/devices")
: >"$work/speed"
: >"$work/parts"
: >"$work/notes"
: >"$work/all"
mkdir -p "$out" || exit 1
out=$(cd "$out" && pwd) || exit 1
name=gpu-$(printf '%s' "${gpu:-unknown}" | tr -cs 'A-Za-z0-9' '-' | sed 's/-$//' | tr 'A-Z' 'a-z')
cd "$here" || exit 1
export SAINT_TEST_GPU="${SAINT_TEST_GPU:-gpu}"
# The driver keeps what it has compiled below HOME; where that cannot be, every program compiles anew.
[ -n "${HOME:-}" ] && [ -w "${HOME:-}" ] || export CUDA_CACHE_PATH="${CUDA_CACHE_PATH:-$work/compiled}"
[ -n "$limits" ] || note "There is no timeout here: a command that hangs is not stopped."

# tool NAME finds a program of the toolkit.
tool() {
  command -v "$1" && return
  for path in /usr/local/cuda/bin/"$1" /usr/local/cuda*/bin/"$1" /usr/local/cuda*/"$1"/"$1" /opt/cuda/bin/"$1"; do
    [ -x "$path" ] && echo "$path" && return
  done
  return 1
}
unit() {
  pattern=$1
  shift
  lim ./cuda.test -test.v -test.run "$pattern" -test.timeout 30m "$@"
}

assemble() {
  bad=0
  for ptx in kernels/*.ptx; do
    lim "$ptxas" -arch="$arch" -o /dev/null "$ptx" || { echo "$ptx" && bad=1; }
  done
  return $bad
}
if wanted ptxas; then
  if ptxas=$(tool ptxas); then
    check "PTX assembled for $arch" assemble
  else
    note "ptxas is not here: the driver alone compiles the kernels."
  fi
fi

wanted tests ops && check "operations against their definition" unit '^TestHardwareConformance$'
wanted tests products && check "products of cuBLAS against the CPU, and again to the bit" unit '^TestHardwareProducts$'
wanted tests nets && check "every kind of network against the CPU, 50 steps" unit '^TestHardwareTraining$'
wanted tests graphs && check "every kind of network with steps as CUDA graphs and without, to the bit" unit '^TestHardwareGraphs$'
wanted tests speed && check "share of bandwidth" unit '^TestHardwareSpeed$'

# score NAME FLAGS… trains and writes the last line of results to a file of that name.
score() {
  run=$1
  shift
  rm -rf "$work/run-$run"
  lim ./saint train --no_cache --json --run_dir "$work/run-$run" "$@" >"$work/$run.json" && tail -n 1 "$work/$run.json" >"$work/$run.last"
}
value() { sed -n "s/.*\"$2\": *\([-+0-9.e]*\).*/\1/p" "$work/$1.last"; }
seconds() { awk -v v="$(value "$1" "$2")" 'BEGIN { printf "%.2f s", v }'; }
told() { echo "NOTE $2, $1: F1 $(value "$1" test_f1_micro), $(seconds "$1" train_seconds) of training ($(seconds "$1" sample_wait_seconds) of it waiting for subgraphs), $(seconds "$1" eval_seconds) of validation, $(seconds "$1" total_seconds) in all."; }
# near A B compares the F1 of two runs; rounding alone may part them.
near() {
  awk -v a="$(value "$1" test_f1_micro)" -v b="$(value "$2" test_f1_micro)" \
    'BEGIN { d = a - b; if (d < 0) d = -d; print "F1", a, "and", b; exit !(a > 0 && d <= 0.003) }'
}
parity() {
  set -- --data_prefix "synth:${PARITY_PRESET:-ppi-like}" --train_config "${PARITY_CONFIG:-rw.yml}" --epochs "${PARITY_EPOCHS:-10}"
  score cpu --gpu -1 "$@" && told cpu "${PARITY_PRESET:-ppi-like}" && score gpu --gpu 0 "$@" && told gpu "${PARITY_PRESET:-ppi-like}" || return 1
  near cpu gpu || return 1
  score host --gpu 0 --features host --cpu_eval "$@" && told host "${PARITY_PRESET:-ppi-like}" && near cpu host
}
wanted parity && check "${PARITY_PRESET:-ppi-like}: F1 within 0.003 of the CPU's" parity

if wanted together; then
  if grep -q '^gpu 1 ' "$work/devices"; then
    check "two GPUs against one that accumulates" unit '^TestHardwareTogether$'
  else
    note "There is one GPU: training on several was not tried."
  fi
fi

# bench MATMUL measures everything, into a table and lines of JSON; what was measured before a failure stays.
bench() {
  set -- --gpu 0 --preset "$presets" --matmul "$1" ${BENCH_CONFIG:+--train_config "$BENCH_CONFIG"} ${BENCH_REPEATS:+--repeats "$BENCH_REPEATS"}
  rm -f "$work/bench.md"
  lim ./saint bench "${BENCH:-all}" "$@" ${BENCH_SHAPES:+--shapes "$BENCH_SHAPES"} --markdown "$work/bench.md" --json >"$work/bench.json"
  code=$?
  cat "$work/bench.json" >>"$out/$name.json"
  [ -f "$work/bench.md" ] && sed 's/^#/##/' "$work/bench.md" >>"$work/figures"
  return $code
}
if wanted bench; then
  rm -f "$out/$name.json"
  for matmul in ${MATMULS:-fp32 tf32 bf16}; do check "saint bench, matmul $matmul" bench "$matmul"; done
fi

# whole NAME FLAGS… is a run from Enter to the final F1, with every validation.
whole() {
  begin=$(now)
  score "$@" --data_prefix "synth:${WHOLE_PRESET:-reddit-like}" --train_config "${WHOLE_CONFIG:-rw.yml}" --epochs "${EPOCHS:-30}" --gpu 0 --matmul "${WHOLE_MATMUL:-tf32}" || return 1
  echo "NOTE ${WHOLE_PRESET:-reddit-like}, ${EPOCHS:-30} epochs, $1: $(since "$begin") s from Enter to the final F1."
  told "$1" "${WHOLE_PRESET:-reddit-like}"
}
if wanted whole; then
  check "a whole run" whole whole
  check "a whole run, validated on the CPU" whole whole-cpu_eval --cpu_eval
fi

# peer PRESET measures PyTorch on the same subgraphs.
peer() {
  rm -rf "$work/export"
  lim ./saint bench export --preset "$1" --out "$work/export" --count 40 ${BENCH_CONFIG:+--train_config "$BENCH_CONFIG"} >/dev/null || return 1
  lim "$python" peer_torch.py "$work/export" --device "${PEER_DEVICE:-cuda}" --what losses,step,eval --compile --json >"$work/peer.json"
  code=$?
  cat "$work/peer.json" >>"$out/$name-peer.json"
  sed -n "s/.*\"type\": \"peer\", \"name\": \"\([^\"]*\)\", \"value\": \([0-9.e]*\), \"unit\": \"\([a-z]*\)\".*/NOTE PyTorch, \1: \2 \3/p" "$work/peer.json"
  return $code
}
if wanted peer; then
  python=${PYTHON:-python3}
  if [ "${PEER_DEVICE:-cuda}" = cpu ] || lim "$python" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' >/dev/null 2>&1; then
    rm -f "$out/$name-peer.json"
    for preset in $(echo "$presets" | tr ',' ' '); do check "PyTorch on the subgraphs of $preset" peer "$preset"; done
  else
    note "$python has no PyTorch with CUDA: the peer was not measured."
  fi
fi

sanitize() { lim "$sanitizer" --tool "$1" --error-exitcode 9 ./cuda.test -test.short -test.run '^TestHardwareTraining$/^own$/^(sage_concat|gatv2|codes)$' -test.timeout 30m; }
if wanted sanitizer; then
  if sanitizer=$(tool compute-sanitizer); then
    for tool in memcheck racecheck initcheck synccheck; do check "compute-sanitizer $tool" sanitize $tool; done
  else
    note "compute-sanitizer is not here."
  fi
fi

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

tables
say "$out/$name.md, in all $(($(date +%s) - started)) s"
exit $failed

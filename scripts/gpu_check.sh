#!/usr/bin/env bash
# Everything that needs a GPU, at once: golden vectors and the device's tests, the benchmark, three real nodes that answer
# with "device": "gpu". Writes the figures, with date and device, as Markdown for docs/benchmarks.md.
#
#   scripts/gpu_check.sh pack         builds the cuda preset and puts the libraries beside it that another machine may
#                                     lack; what is left to carry is this checkout and build/cuda/bin
#   scripts/gpu_check.sh [FILE]       runs it; FILE is build/gpu-check.md unless told. Needs build/cuda/bin and python3,
#                                     no compiler. Exit 0: all passed; 1: something failed; 3: something is missing, and
#                                     it says what
#
# ROWS (200000000), ROUNDS (15) and CLUSTER_ROWS (200000) say how much is measured.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

BIN=$ROOT/build/cuda/bin
PROGRAMS=(covey-gpu-tests covey-gpu-bench coveyd covey)

pack() {
  build cuda "${PROGRAMS[@]}"
  rm -rf "$BIN/lib"
  mkdir -p "$BIN/lib"
  local program name path
  for program in "${PROGRAMS[@]}"; do
    # The C library and the loader are the machine's own.
    while read -r name path; do
      case $name in
        libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | ld-linux*) ;;
        *) [ -e "$BIN/lib/$name" ] || cp -L "$path" "$BIN/lib/$name" ;;
      esac
    done < <(ldd "$BIN/$program" | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}')
  done
  say "packed: carry $(du -sh "$BIN" | cut -f1) in build/cuda/bin, and run scripts/gpu_check.sh there"
}

missing() {
  say "gpu_check: not run: $*"
  exit 3
}

# part TITLE COMMAND...: its output goes into the report, and to the terminal as it comes.
part() {
  local title=$1 status=0
  shift
  say "== $title"
  {
    printf '\n### %s\n\n' "$title"
    [ "$FENCED" = 0 ] || echo '```'
  } >>"$report"
  "$@" 2>&1 | tee -a "$report" || status=$?
  { [ "$FENCED" = 0 ] || echo '```'; } >>"$report"
  [ "$status" -eq 0 ] || {
    failed=1
    say "gpu_check: FAILED with $status: $title" | tee -a "$report"
  }
}

device_line() {
  if command -v nvidia-smi >/dev/null; then
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null | head -n 1
  else
    echo "unknown (no nvidia-smi)"
  fi
}

run_check() {
  report=${1:-$ROOT/build/gpu-check.md}
  local program
  for program in "${PROGRAMS[@]}"; do
    [ -x "$BIN/$program" ] || missing "build/cuda/bin/$program is not there: run 'scripts/gpu_check.sh pack' on a machine" \
      "with nvcc (the CUDA toolkit) and carry build/cuda/bin here"
  done
  command -v python3 >/dev/null || missing "python3 is not there"
  export COVEY_AGG_GOLDEN=$ROOT/gpu/tests/golden.txt COVEYD=$BIN/coveyd COVEY=$BIN/covey
  local told status=0
  told=$("$BIN/covey-gpu-bench" --rows 1000 --rounds 1 --device gpu 2>&1) || status=$?
  [ "$status" -eq 3 ] && missing "$(tail -n 1 <<<"$told"); this needs an NVIDIA GPU of compute capability 7.5 or later and" \
    "a driver for CUDA 13"
  [ "$status" -eq 0 ] || fail "covey-gpu-bench does not run here: $told"

  mkdir -p "$(dirname "$report")"
  failed=0
  {
    printf '## On a GPU\n\n'
    printf 'Measured on %s with `scripts/gpu_check.sh` at %s.\n' "$(date -u '+%Y-%m-%d %H:%M UTC')" \
      "$(git rev-parse --short HEAD 2>/dev/null || echo 'an unknown commit')"
    printf 'Device: %s. Processor: %s, %s threads.\n' "$(device_line)" \
      "$(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo)" "$(nproc)"
  } >"$report"
  FENCED=1 part "Tests on the device" "$BIN/covey-gpu-tests" "a real device"
  FENCED=0 part "Questions" "$BIN/covey-gpu-bench" --device gpu --rows "${ROWS:-200000000}" --rounds "${ROUNDS:-15}"
  FENCED=0 part "A cluster over HTTP" python3 -B tests/process/gpu_cluster.py --rows "${CLUSTER_ROWS:-200000}"
  say "report: $report"
  [ "$failed" -eq 0 ]
}

case ${1:-} in
  pack) pack ;;
  *) run_check "${1:-}" ;;
esac

#!/usr/bin/env bash
# Every test: installs what is missing, builds what is not built, runs all of it, and ends with one line
# "N passed, N failed". Exit 1 if anything failed.
#
#   scripts/test.sh [release] [asan] [tsan] [cuda]      release, asan and cuda unless some are named
#
#   release  unit tests, those of the columns' library, tidy, scenarios, real processes, the simulator, and whether it finds
#            deliberate bugs
#   asan     unit tests, kept fuzz inputs and fewer seeds of the simulator, with addresses and undefined behaviour
#            checked
#   tsan     unit tests and real processes, with data races checked
#   cuda     where nvcc is installed: the columns' library with its CUDA back end, its tests (those that need a device
#            are left out where there is none) and what scripts/gpu_check.sh says
#
# SEEDS, FRESH_SEEDS and ASAN_SEEDS say how many seeds the simulator runs (500, 200, 60).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

jobs=$(nproc)
passed=0
failed=0
logs=build/test-logs
rm -rf "$logs"
mkdir -p "$logs"

# stage NAME COMMAND...: runs it with its output in a log; on failure shows the log's end. The command adds to passed
# and failed what it counts.
stage() {
  local name=$1 begun=$SECONDS before=$failed
  shift
  log=$logs/${name// /-}.log
  "$@" >"$log" 2>&1 || failed=$((failed == before ? failed + 1 : failed))
  local verdict=ok
  if [ "$failed" -gt "$before" ]; then
    verdict=FAILED
    first_lines_of_failures "$log"
    tail -n 60 "$log"
    say "--- all of it: $log"
  fi
  printf '%-44s %6s   %4d s\n' "$name" "$verdict" $((SECONDS - begun))
  [ "$verdict" = ok ]
}

# What the end of a long log may not show: which tests failed, and what each of them found.
first_lines_of_failures() {
  grep -a -E -A 14 '^(FAIL|ERROR): |^[A-Za-z]*Error: |: FAILED:$|^[a-z_0-9]+: .* findings$|^FAILED: ' "$1" | head -n 150 || true
}

# A stage that is one check.
check() {
  if "$@"; then passed=$((passed + 1)); else return 1; fi
}

# The unit tests, dealt out to as many processes as there are processors; each tells how many of its cases passed.
unit_tests() {
  local program=build/$1/bin/covey_tests part=$logs/unit-$1 ok=0 ran=0 names i of_part processes=()
  "$program" --list-test-names-only >"$part.names" || true # its status is their number
  names=$(wc -l <"$part.names")
  # Catch2 takes a comma for the end of a name, unless it is told.
  awk -v part="$part" -v parts="$jobs" '{ gsub(/[\\,[\]]/, "\\\\&"); print > (part "." NR % parts ".names") }' "$part.names"
  for ((i = 0; i < jobs; ++i)); do
    "$program" -f "$part.$i.names" >"$part.$i.txt" 2>&1 &
    processes+=($!)
  done
  for ((i = 0; i < jobs; ++i)); do
    wait "${processes[$i]}" || ok=$?
    cat "$part.$i.txt"
    of_part=$(tail -n 3 "$part.$i.txt")
    if [[ $of_part =~ in\ ([0-9]+)\ test\ case ]]; then
      passed=$((passed + BASH_REMATCH[1]))
      ran=$((ran + BASH_REMATCH[1]))
      continue
    fi
    of_part=$(grep -a '^test cases:' "$part.$i.txt" | tail -n 1)
    [[ $of_part =~ ^test\ cases:\ +([0-9]+) ]] && ran=$((ran + BASH_REMATCH[1]))
    [[ $of_part =~ ([0-9]+)\ failed ]] && failed=$((failed + BASH_REMATCH[1]))
    [[ $of_part =~ ([0-9]+)\ passed ]] && passed=$((passed + BASH_REMATCH[1]))
  done
  if [ "$ran" -ne "$names" ]; then
    say "Error: $ran of $names test cases were run to their end"
    ok=1
  fi
  return "$ok"
}

# Tests that CMake knows, chosen by label; counted from ctest's report.
ctests() {
  local preset=$1 report ok=0 bad all
  shift
  report=$(mktemp "$ROOT/$logs/report.XXXXXX")
  ctest --preset "$preset" --output-junit "$report" --no-tests=ignore "$@" || ok=$?
  all=$(grep -c '<testcase ' "$report" || true)
  bad=$(grep -c '<testcase .*status="fail"' "$report" || true)
  passed=$((passed + all - bad))
  failed=$((failed + bad))
  return "$ok"
}

simulate() {
  say "$*"
  check "$@"
}

# The sanitizers' own settings. RocksDB and other packages are not instrumented: their accesses are not judged, but their
# locks are seen, because they order ours too (a called_from_lib suppression would ignore both).
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=history_size=4:ignore_noninstrumented_modules=1
# Properties: fewer random cases where each costs ten times as much.
few_cases='max_success=25'

run_release() {
  stage "build release" build release all covey-sim-bugs || return 0
  stage "unit tests" unit_tests release
  stage "columns, tidy, scenarios" ctests release -LE '^process$' -E '^(unit|sim_seeds|sim_fresh_seeds)$' -j "$jobs"
  stage "simulator, ${SEEDS:=500} fixed seeds" simulate build/release/bin/covey-sim --seed 1 --runs "$SEEDS" --jobs "$jobs" \
    --demand-coverage
  stage "simulator, ${FRESH_SEEDS:=200} fresh seeds" simulate build/release/bin/covey-sim --seed fresh \
    --runs "$FRESH_SEEDS" --jobs "$jobs"
  stage "simulator finds deliberate bugs" simulate build/release/bin/covey-sim-bugs --find --jobs "$jobs"
  stage "real processes" ctests release -L '^process$' -j 2
}

run_asan() {
  stage "build asan" build asan covey_tests covey_fuzz_programs covey-sim || return 0
  RC_PARAMS=$few_cases stage "unit tests, asan" unit_tests asan
  stage "kept fuzz inputs, asan" ctests asan -L '^fuzz$' -j "$jobs"
  stage "simulator, ${ASAN_SEEDS:=60} seeds, asan" simulate build/asan/bin/covey-sim --seed 1 --runs "$ASAN_SEEDS" \
    --jobs "$jobs"
}

run_tsan() {
  stage "build tsan" build tsan covey_tests coveyd covey covey-maelstrom || return 0
  RC_PARAMS=$few_cases stage "unit tests, tsan" unit_tests tsan
  stage "real processes, tsan" ctests tsan -L '^process$'
}

# Without a device the check of the device has to say so, and that is all that it may find wrong.
gpu_check() {
  local status=0
  scripts/gpu_check.sh || status=$?
  [ "$status" -eq 0 ] || [ "$status" -eq 3 ]
}

run_cuda() {
  local nvcc
  nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc /opt/cuda/bin/nvcc 2>/dev/null | head -n 1) || true
  if [ -z "${nvcc:-${CUDACXX:-}}" ]; then
    say "cuda: skipped, there is no nvcc: the release build has no CUDA back end either, its kernels ran on the CPU in its tests"
    return 0
  fi
  stage "build cuda" build cuda covey-gpu-tests covey-gpu-bench || return 0
  stage "unit tests, cuda" ctests cuda -R '^gpu$'
  stage "check of the device" check gpu_check
}

scripts/setup.sh build test
for part in "${@:-release asan cuda}"; do
  for name in $part; do
    case $name in
      release | asan | tsan | cuda) "run_$name" || true ;; # failures are counted
      *) fail "unknown part '$name': release, asan, tsan or cuda" ;;
    esac
  done
done

say "$((SECONDS / 60)) min $((SECONDS % 60)) s"
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each of them for a while; new inputs that reach new code are kept apart in
# build/fuzz/found/, crashes in build/fuzz/crashes/. Exit 1 if any target crashed, hung or leaked.
#
#   scripts/fuzz.sh [SECONDS for each, 60] [TARGET...]        targets are tests/fuzz/TARGET_fuzz.cpp
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=${1:-60}
[[ $seconds =~ ^[0-9]+$ ]] || fail "not a number of seconds: $seconds"
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in tests/fuzz/*_fuzz.cpp; do
    name=$(basename "$source" _fuzz.cpp)
    targets+=("$name")
  done
fi

scripts/setup.sh build test
mkdir -p build
say "fuzz: building"
cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER=clang++ -DCOVEY_FUZZ=ON \
  -DCOVEY_SANITIZE=fuzzer-no-link,address,undefined >build/fuzz.configure.log 2>&1 || {
  cat build/fuzz.configure.log >&2
  fail "cmake failed"
}
cmake --build build/fuzz -j "$(build_jobs)" --target "${targets[@]/%/_fuzz}" >build/fuzz.build.log 2>&1 || {
  tail -n 40 build/fuzz.build.log >&2
  fail "the build failed: all of it is in build/fuzz.build.log"
}

mkdir -p build/fuzz/crashes
failed=()
for target in "${targets[@]}"; do
  mkdir -p "build/fuzz/found/$target"
  log=build/fuzz/$target.log
  if build/fuzz/bin/"${target}_fuzz" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/crashes/$target-" "build/fuzz/found/$target" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
    runs=$(awk '/number_of_executed_units/ {print $2}' "$log")
    coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)
    say "fuzz: $target: $runs runs in $seconds s, $coverage, nothing found"
  else
    failed+=("$target")
    grep -E 'invariant broken|ERROR|SUMMARY|Test unit written' "$log" >&2 || tail -n 20 "$log" >&2
    say "fuzz: $target FAILED: $log"
  fi
done
[ ${#failed[@]} -eq 0 ] || fail "failed: ${failed[*]}"

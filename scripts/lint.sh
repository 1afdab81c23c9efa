#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy) over the sources that differ from the last commit, over all of them, or over those named.
# All of them take about ten minutes on two cores: not part of scripts/test.sh.
#
#   scripts/lint.sh [--all | FILE...]
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh build test lint
mkdir -p build
cmake -S . -B build/lint -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=clang++ \
  -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >build/lint.configure.log 2>&1 || {
  cat build/lint.configure.log >&2
  fail "cmake failed"
}
cmake --build build/lint --target covey_peer_messages -j "$(build_jobs)" >/dev/null # the generated header

case ${1:-} in
  --all) mapfile -t sources < <(find replication storage client server gpu tests -name '*.cpp' | sort) ;;
  "") mapfile -t sources < <({
    git diff --name-only --diff-filter=d HEAD
    git ls-files --others --exclude-standard
  } | grep -E '^(replication|storage|client|server|gpu|tests)/.*\.cpp$' | sort -u) ;;
  *) sources=("$@") ;;
esac
[ ${#sources[@]} -gt 0 ] || {
  say "lint: nothing to do"
  exit 0
}
# Only files that the build knows.
known=$(jq -r '.[].file' build/lint/compile_commands.json)
checked=()
for source in "${sources[@]}"; do
  if grep -qxF "$ROOT/$source" <<<"$known"; then checked+=("$source"); fi
done
[ ${#checked[@]} -gt 0 ] || {
  say "lint: none of these files is built here"
  exit 0
}
if printf '%s\0' "${checked[@]}" |
  xargs -0 -n 4 -P "$(build_jobs)" clang-tidy -p build/lint --quiet >build/lint.log 2>/dev/null; then
  say "lint: ${#checked[@]} files, no findings"
else
  grep -E ': (warning|error): ' build/lint.log | sort -u
  fail "findings in ${#checked[@]} files: all of them in build/lint.log"
fi

# Shared by the scripts beside it; sourced, not run. Sets ROOT (the checkout) and goes there.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

# ccache works with precompiled headers only if it may trust these.
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
# And one checkout's objects serve another's.
export CCACHE_BASEDIR=$ROOT CCACHE_NOHASHDIR=1

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# As root, or with sudo where that is there.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "needs root or sudo to run: $*"
  fi
}

# Compilers take up to 1.3 GiB each: no more of them at once than the memory holds.
build_jobs() {
  local cores compilers
  cores=$(nproc)
  compilers=$(awk '/MemAvailable/ {print int($2 / 1363149)}' /proc/meminfo)
  if [ "$compilers" -lt 1 ]; then compilers=1; fi
  if [ "$compilers" -lt "$cores" ]; then echo "$compilers"; else echo "$cores"; fi
}

# build PRESET [TARGET...]: configures and builds into build/PRESET; all targets unless some are named. Quiet when all is
# well, else the end of the log and status 1.
build() {
  local preset=$1 log=$ROOT/build/$1.build.log
  shift
  mkdir -p "$ROOT/build"
  if cmake --preset "$preset" >"$log" 2>&1 &&
    cmake --build --preset "$preset" -j "$(build_jobs)" ${1:+--target "$@"} >>"$log" 2>&1; then
    return 0
  fi
  grep -E ' error: |CMake Error|undefined symbol' "$log" | head -n 20 >&2 || true
  tail -n 30 "$log" >&2
  printf 'the %s build failed: all of it is in %s\n' "$preset" "$log" >&2
  return 1
}

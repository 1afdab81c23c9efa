#!/usr/bin/env bash
# Installs the Debian 12 packages that covey needs, those that are missing; says nothing when none is.
#
#   scripts/setup.sh [build] [test] [lint] [bench]      build and test unless told otherwise
#
# Needs root or sudo when something is missing. Starts no service: servers that come as packages (for benchmarks) are
# kept from starting while they are installed.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

build_packages=(
  g++ cmake ninja-build ccache lld
  libboost1.81-dev        # Asio, Beast
  librocksdb-dev          # storage
  nlohmann-json3-dev libsimdjson-dev
  libprotobuf-dev protobuf-compiler
  libxxhash-dev libspdlog-dev libcli11-dev libreadline-dev libssl-dev libjemalloc-dev
)
test_packages=(
  catch2 librapidcheck-dev
  python3 clang-format    # tests/tidy
  clang libclang-rt-14-dev # the build that checks addresses: half of g++'s time
  curl jq procps iproute2 # real-process tests, the demonstration
  redis-server            # answers of the Redis protocol are compared with its own
  redis-tools python3-redis ruby-redis # clients of Redis that must find a node like any other
)
lint_packages=(clang-tidy) # with clang of the tests
bench_packages=(wrk redis-server redis-tools etcd-server)

wanted=()
for group in "${@:-build test}"; do
  for name in $group; do
    case $name in
      build) wanted+=("${build_packages[@]}") ;;
      test) wanted+=("${test_packages[@]}") ;;
      lint) wanted+=("${lint_packages[@]}") ;;
      bench) wanted+=("${bench_packages[@]}") ;;
      *) fail "unknown group '$name': build, test, lint or bench" ;;
    esac
  done
done

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

. /etc/os-release
[ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ] ||
  say "setup: made for Debian 12, this is ${PRETTY_NAME:-unknown}: trying all the same"
say "setup: installing ${missing[*]}"

# invoke-rc.d asks this program whether a service may start: 101 says no. What stood there comes back at the end.
policy=/usr/sbin/policy-rc.d
kept=
if [ -e $policy ]; then
  kept=$(mktemp -u "$policy.covey.XXXXXX")
  as_root mv $policy "$kept"
fi
restore_policy() {
  as_root rm -f $policy
  if [ -n "$kept" ]; then as_root mv "$kept" $policy; fi
}
trap restore_policy EXIT
printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
as_root chmod 755 $policy

mkdir -p build
log=build/setup.log
{
  as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
} >$log 2>&1 </dev/null || {
  tail -n 20 $log >&2
  fail "apt-get failed: all of it is in $log"
}
say "setup: done"

#!/usr/bin/env bash
# Shows what covey is for, on three real nodes of this machine: writes on every node, concurrent values kept, a node
# cut off from the others, consistency chosen by R and W, and replicas that become equal again. Two minutes once built.
#
#   scripts/demo.sh [--keep]      --keep leaves a cluster up at the end and says how to reach it
#
# The nodes run from configs/local. So that links can be cut without touching the machine's network, the nodes reach
# each other through a small relay (tests/process/link_proxy.py); clients reach them directly.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

keep=
case ${1:-} in
  "") ;;
  --keep) keep=yes ;;
  *) fail "usage: scripts/demo.sh [--keep]" ;;
esac

say "== Installing what is missing and building (the first time takes some minutes)"
scripts/setup.sh build test
build release coveyd covey
bin=$ROOT/build/release/bin
place=$ROOT/build/demo
configs=$place/configs

# Prints a command as a user types it, runs it, and holds its exit code against the one that is expected.
run() {
  local expected=$1 code=0
  shift
  local word line="covey"
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=,-]*) line+=" '$word'" ;;
      *) line+=" $word" ;;
    esac
  done
  printf '\n  $ %s\n' "$line"
  "$bin/covey" "$@" 2>&1 | sed 's/^/    /' || code=${PIPESTATUS[0]}
  [ "$code" -eq "$expected" ] || fail "that ended with $code instead of $expected"
  [ "$code" -eq 0 ] || say "    (exit code $code)"
}
step() { printf '\n== %s\n' "$*"; }
relay() {
  say "    (links: $*)"
  echo "$*" >&"${RELAY[1]}"
  read -r _ <&"${RELAY[0]}"
}
# Until both sides of the cut, n1 of one and n3 of the other, see the nodes beyond it alive, or lost.
until_state() {
  local wanted=$1 end=$((SECONDS + 30)) all
  while :; do
    all=yes
    for port in 7101 7103; do
      for other in n1 n2 n3; do
        case $port$other in 7101n1 | 7101n2 | 7103n3) continue ;; esac
        state=$("$bin/covey" --node 127.0.0.1:$port --output json cluster status 2>/dev/null |
          jq -r --arg node $other '.members[] | select(.node == $node) | .state') || state=unknown
        case $wanted in
          alive) [ "$state" = alive ] || all= ;;
          lost) [ "$state" != alive ] || all= ;;
        esac
      done
    done
    [ -z "$all" ] || return 0
    [ $SECONDS -lt $end ] || fail "the nodes did not notice that links are $wanted"
    sleep 0.1
  done
}

finish() {
  local code=$?
  trap - EXIT
  if [ -d "$configs" ] && [ -z "$kept" ]; then
    (cd "$place" && "$bin/covey" cluster stop configs >/dev/null 2>&1) || true
  fi
  if [ -n "${RELAY_PID:-}" ]; then kill "$RELAY_PID" 2>/dev/null || true; fi
  exit $code
}
kept=
trap finish EXIT
trap 'exit 130' INT TERM

# What an earlier run left behind: its cluster, its data. One that was kept runs from configs/local.
if [ -d "$place" ]; then
  left=configs
  [ -d "$configs" ] || left=../../configs/local
  (cd "$place" && "$bin/covey" cluster stop $left >/dev/null 2>&1) || true
fi
rm -rf "$place"
mkdir -p "$configs"
for port in 7101 7102 7103 7301 7302 7303 7401 7402 7403; do
  if (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; then
    fail "port $port is in use, by a cluster that runs already perhaps: stop it first"
  fi
done

# configs/local with the relay's ports as the peers' addresses.
for number in 1 2 3; do
  sed -e '/"seeds"/ s/:730\([123]\)/:740\1/g' \
    -e "s|^\( *\)\"listen\": .*|&\n\1\"advertise\": {\"peer\": \"127.0.0.1:740$number\"},|" \
    "configs/local/n$number.json" >"$configs/n$number.json"
done
coproc RELAY { exec python3 -B "$ROOT/tests/process/link_proxy.py" n1=7401:7301 n2=7402:7302 n3=7403:7303; }
read -r _ <&"${RELAY[0]}"
cd "$place"

step "Three nodes"
run 0 cluster start configs
until_state alive
run 0 --node 127.0.0.1:7101 cluster status

for port in 7101 7102 7103; do # an empty replica counts in strict reads once it has asked the others
  until "$bin/covey" --node 127.0.0.1:$port --output json cluster ring | jq -e 'all(.[]; .ready)' >/dev/null; do
    sleep 0.1
  done
done

step "Every node takes writes, and every node answers for all of them"
run 0 --node 127.0.0.1:7101 put cart:7 '{"apples": 1}'
run 0 --node 127.0.0.1:7102 get cart:7
run 0 --node 127.0.0.1:7102 put cart:7 '{"apples": 2}'
run 0 --node 127.0.0.1:7103 put greeting 'written on the third node' -w all
run 0 --node 127.0.0.1:7101 get cart:7
run 0 --node 127.0.0.1:7101 scan

step "n3 is cut off from n1 and n2: every packet between them is lost"
relay cut n3
until_state lost
run 0 --node 127.0.0.1:7101 cluster status
say "
  A quorum is 2 of 3 replicas. On the side of n1 and n2 it is there, on the side of n3 it is not:"
run 0 --node 127.0.0.1:7101 explain cart:7 -r quorum -w quorum
run 0 --node 127.0.0.1:7101 put account 100 -w quorum
run 4 --node 127.0.0.1:7103 put account 999 -w quorum --blind
say "
  Refused means refused: nothing of it was written. Who asks for one replica alone may always write, on both sides:"
run 0 --node 127.0.0.1:7101 put cart:7 '{"apples": 2, "pears": 5}' -w one
run 0 --node 127.0.0.1:7103 put cart:7 '{"apples": 9}' -w one
say "
  And may read what is out of date: n3 knows nothing of the account, and says so only if it is asked for a quorum:"
run 3 --node 127.0.0.1:7103 get account -r one
run 4 --node 127.0.0.1:7103 get account -r quorum

step "The links are back, and the replicas become equal by themselves"
relay heal
until_state alive
run 0 --node 127.0.0.1:7101 cluster await-converged
run 0 --node 127.0.0.1:7103 get account -r one
say "
  Both carts were written without knowing of each other: nothing is lost, both are there, on every node:"
run 5 --node 127.0.0.1:7102 get cart:7 -r one
run 0 --node 127.0.0.1:7102 resolve cart:7 --value '{"apples": 9, "pears": 5}'
run 0 --node 127.0.0.1:7103 get cart:7

step "A node is killed in the midst of it all, and comes back with everything it had acknowledged"
for number in 1 2 3 4 5; do "$bin/covey" --node 127.0.0.1:7102 put "order:$number" "number $number" -w quorum >/dev/null; done
say "  $ kill -9 \$(cat data/n2.pid)"
kill -9 "$(cat data/n2.pid)"
run 0 --node 127.0.0.1:7102 --node 127.0.0.1:7103 put order:6 'number 6, while n2 is down' -w quorum
run 0 cluster start configs
until_state alive
run 0 --node 127.0.0.1:7101 cluster await-converged
run 0 --node 127.0.0.1:7102 scan order: -r one

step "A delete leaves nothing behind, and what was deleted does not come back"
run 0 --node 127.0.0.1:7103 del cart:7 -w all
run 3 --node 127.0.0.1:7101 get cart:7
run 0 --node 127.0.0.1:7101 cluster await-converged

step "Stopping"
run 0 cluster stop configs
if [ -n "$keep" ]; then
  say "
  And starting again, from configs/local as it is, without the relay between the nodes:"
  kill "$RELAY_PID" 2>/dev/null || true
  kept=yes
  rm -r "$configs"
  run 0 cluster start ../../configs/local
  say "
The cluster is up. HTTP is at 127.0.0.1:7101, :7102 and :7103; logs are in build/demo/data/*.log.
  $bin/covey --node 127.0.0.1:7101 shell
  curl -i http://127.0.0.1:7101/v1/kv/default/account
Stop it with:
  (cd $place && $bin/covey cluster stop ../../configs/local)"
fi
say "
The demonstration is over: all that was to be shown was seen."

# Bash completion for covey.
_covey() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local commands="get put del siblings resolve scan incr sadd srem smembers hset hget hgetall hdel hincr import export agg bench cluster backup explain tables table shell"
  local global="--node --table --output --timeout --sloppy --no-sloppy --help --version"
  local command="" under="" word i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    case $word in
      --node | --table | --output | --timeout) ((++i)) ;;
      -*) ;;
      *)
        if [[ -z $command ]]; then
          command=$word
        elif [[ -z $under ]]; then
          under=$word
        fi
        ;;
    esac
  done

  case $previous in
    --output) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$current"); return ;;
    --conflicts) mapfile -t COMPREPLY < <(compgen -W "siblings lww" -- "$current"); return ;;
    --siblings) mapfile -t COMPREPLY < <(compgen -W "latest min max skip" -- "$current"); return ;;
    --device) mapfile -t COMPREPLY < <(compgen -W "auto cpu gpu" -- "$current"); return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "jsonl csv" -- "$current"); return ;;
    -r | --read | -w | --write) mapfile -t COMPREPLY < <(compgen -W "one quorum all" -- "$current"); return ;;
    --out | --resume | --coveyd) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --node)
      # Host and port are one word to covey, and two to bash.
      mapfile -t COMPREPLY < <(compgen -W "${COVEY_NODES//,/ }" -- "$current")
      return
      ;;
  esac

  local options=""
  case $command in
    "") mapfile -t COMPREPLY < <(compgen -W "$commands $global" -- "$current"); return ;;
    get) options="--read --raw" ;;
    put) options="--write --read --context --blind --ttl --content-type --if-absent" ;;
    del) options="--write --read --context --blind" ;;
    siblings) options="--read" ;;
    resolve) options="--pick --value --write --read" ;;
    scan) options="--start --limit --keys-only --read" ;;
    incr) options="--write --ttl --token" ;;
    sadd | srem | hset | hdel | hincr) options="--write --ttl" ;;
    smembers | hget | hgetall) options="--read" ;;
    import) options="--format --key --write --ttl --blind --from-line --resume --parallel" ;;
    export) options="--out --read" ;;
    agg) options="--where --prefix --by --limit-groups --exact --available --siblings --device --verify --plot --profile" ;;
    bench) options="--ops --clients --keys --value-bytes --read-share --read --write --pipeline --seed --no-preload" ;;
    explain) options="--read --write" ;;
    backup)
      [[ -z $under ]] && { mapfile -t COMPREPLY < <(compgen -W "list create verify delete" -- "$current"); return; }
      [[ $under != delete ]] && options="--all"
      [[ $under == create ]] && options+=" --keep --no-wait"
      [[ $under == verify ]] && options+=" --no-wait"
      ;;
    table)
      [[ -z $under ]] && { mapfile -t COMPREPLY < <(compgen -W "create show drop" -- "$current"); return; }
      [[ $under == create ]] && options="--conflicts --column"
      ;;
    cluster)
      if [[ -z $under ]]; then
        mapfile -t COMPREPLY < <(compgen -W "status ring start stop join leave remove replace repair await-converged" -- "$current")
        return
      fi
      [[ $under == start ]] && options="--coveyd"
      [[ $under == repair ]] && options="--all"
      [[ $under == join || $under == leave ]] && options="--dry-run --wait"
      [[ $under == remove || $under == replace ]] && options="--dry-run --wait --force"
      ;;
  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options $global" -- "$current")
  elif [[ $command == import || $command == cluster ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -o filenames -F _covey covey

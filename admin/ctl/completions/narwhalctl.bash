# Completion for narwhalctl(1) in bash.
_narwhalctl() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} word command=
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      status | workers | top | reload | rollback | scale | kill | reopen | upgrade | stop) command=$word ;;
    esac
  done
  case $previous in
    -s | --socket)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return ;;
    kill)
      mapfile -t COMPREPLY < <(compgen -W "--quick $(narwhalctl workers 2>/dev/null | awk 'NR > 1 {print $2}')" -- "$current")
      return ;;
  esac
  case $command in
    '') mapfile -t COMPREPLY < <(compgen -W "status workers top reload rollback scale kill reopen upgrade stop --socket --json --quiet --help --version" -- "$current") ;;
    top) mapfile -t COMPREPLY < <(compgen -W "--interval --help" -- "$current") ;;
    reload | rollback) mapfile -t COMPREPLY < <(compgen -W "--timeout --json --quiet --help" -- "$current") ;;
    kill) mapfile -t COMPREPLY < <(compgen -W "--quick --help" -- "$current") ;;
    upgrade) mapfile -t COMPREPLY < <(compgen -W "--finish --timeout --json --quiet --help" -- "$current") ;;
    stop) mapfile -t COMPREPLY < <(compgen -W "--quick --timeout --help" -- "$current") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$current") ;;
  esac
}
complete -F _narwhalctl narwhalctl

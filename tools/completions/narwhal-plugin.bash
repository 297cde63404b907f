# Completion for narwhal-plugin(1) in bash.
_narwhal_plugin() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words command= i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      -C | --directory) ((++i)) ;;
      new | build | test | run | check | inspect | call | flags)
        command=${COMP_WORDS[i]}
        break ;;
    esac
  done
  case $command:$previous in
    :-C | :--directory)
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return ;;
    call:-d | call:--data | call:-H | call:--header | call:--prefix | call:-t | call:--timeout | *:-o | *:--option)
      return ;;
  esac
  if [[ $current == -* ]]; then
    case $command in
      '') words="--directory -C --help --version" ;;
      new) words="--c --cpp --rust --help" ;;
      check) words="--option -o --help" ;;
      inspect) words="--json --help" ;;
      call) words="--data -d --header -H --option -o --prefix --timeout -t --include -i --debug --help" ;;
      flags) words="--c --cpp --rust --test --help" ;;
      *) words="--help" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    return
  fi
  case $command in
    '') mapfile -t COMPREPLY < <(compgen -W "new build test run check inspect call flags" -- "$current") ;;
    check | inspect | call) mapfile -t COMPREPLY < <(compgen -d -- "$current"; compgen -f -X '!*.so' -- "$current") ;;
    run) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
  esac
}
complete -o filenames -F _narwhal_plugin narwhal-plugin

# Completion of tide-relay for bash.

_tide_relay() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} word command='' words=''
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$command $word" in
      " init" | " run" | " check" | " status" | " accept-restore" | " plugins" | " dead-letters") command=$word ;;
      "plugins list" | "plugins info" | "plugins new" | "plugins test") command="plugins $word" ;;
      "dead-letters list" | "dead-letters retry" | "dead-letters discard") command="dead-letters $word" ;;
    esac
  done

  case $previous in
    --config | --sink-config | --dir)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return ;;
    --language) words="c c++" ;;
    --build) words="meson cmake" ;;
    --postgres-url | --pipeline | --id) return ;;
    *)
      case $command in
        "") words="init run check status accept-restore plugins dead-letters --version --help" ;;
        init) words="--config --postgres-url --take-over --help" ;;
        run) words="--config --postgres-url --once --help" ;;
        check) words="--config --postgres-url --connect --help" ;;
        status) words="--config --postgres-url --json --help" ;;
        accept-restore) words="--config --postgres-url --help" ;;
        plugins) words="list info new test --config --help" ;;
        "plugins list") words="--config --help" ;;
        "plugins info") words="$(tide-relay plugins list 2>/dev/null | sed -n 's/.* sink_type \([^ ]*\).*/\1/p' | tr '|' '\n') --config --help" ;;
        "plugins new") words="--language --build --dir --help" ;;
        "plugins test")
          if [[ $current != -* ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
          fi
          words="--sink-config --help" ;;
        dead-letters) words="list retry discard --help" ;;
        "dead-letters list") words="--config --postgres-url --pipeline --json --help" ;;
        "dead-letters retry" | "dead-letters discard") words="--config --postgres-url --pipeline --id --all --help" ;;
      esac ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
} && complete -o filenames -F _tide_relay tide-relay

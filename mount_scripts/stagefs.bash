# Completion for bash; installed where bash-completion looks for it.
_stagefs() {
  local cur=${COMP_WORDS[COMP_CWORD]} command='' word
  local commands="create list delete branch workspace put import-oxen stage rm status diff unstage commit rebase log ls retry dismiss sync fsck gc migrate prefetch doctor mount unmount serve token"
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
  if [ -z "$command" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands --root --index --versions --json --help --version" -- "$cur")
    return
  fi
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(stagefs "$command" --help 2>/dev/null | grep -oE -- '--[a-z-]+' | sort -u)" -- "$cur")
    return
  fi
  case $command in
    branch) mapfile -t COMPREPLY < <(compgen -W "list create delete merge $(stagefs list 2>/dev/null)" -- "$cur") ;;
    workspace) mapfile -t COMPREPLY < <(compgen -W "list create delete $(stagefs list 2>/dev/null)" -- "$cur") ;;
    token) mapfile -t COMPREPLY < <(compgen -W "create" -- "$cur") ;;
    unmount) mapfile -t COMPREPLY < <(compgen -W "$(awk '$3 == "fuse.stagefs" {print $2}' /proc/mounts)" -- "$cur") ;;
    *)
      if [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(stagefs list 2>/dev/null)" -- "$cur")
      else
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      fi ;;
  esac
}
complete -o nospace -F _stagefs stagefs

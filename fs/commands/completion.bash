# shellcheck shell=bash
# Completion for bash; installed where bash-completion looks for it. Made by `stagefs help --bash`.

# What may follow the command $1: words, options, options with values as NAME=KIND, and kinds of arguments.
_stagefs_describe() {
  case $1 in
    @COMMANDS@
    *) subcommands='' options='' values='' arguments='' ;;
  esac
}

# The kind of value that the option $1 takes, into `kind`; empty for a flag.
_stagefs_value() {
  local value
  kind=''
  for value in $values $global_values; do
    [[ $value != "$1="* ]] || kind=${value#*=}
  done
}

# The names of the kind $1, one a line. `target` is the first argument, `cur` what is there already.
_stagefs_names() {
  case $1 in
    repository) stagefs "${places[@]}" list ;;
    workspace | target)
      if [[ $cur == *:* ]]; then
        stagefs "${places[@]}" workspace list "${cur%%:*}" | while read -r id name _; do
          [ "$name" != - ] || name=$id
          echo "${cur%%:*}:$name"
        done
      elif [ "$1" = workspace ]; then
        stagefs "${places[@]}" list | sed 's/$/:/'
      else
        stagefs "${places[@]}" list
      fi ;;
    branch) stagefs "${places[@]}" branch list "${target%%:*}" | sed 's/  [0-9a-f]*$//' ;;
    revision)
      _stagefs_names branch
      stagefs "${places[@]}" log "${target%%:*}" | cut -d' ' -f1 ;;
    path) # Names that are quoted are left out, as are targets of links.
      local folder='' name
      [[ $cur != */* ]] || folder=${cur%/*}/
      stagefs "${places[@]}" ls "$target" "$folder" | sed -n 's/^.\{28\}//; s/ -> .*//; /^"/!p' |
        while IFS= read -r name; do echo "$folder$name"; done ;;
    staged) stagefs "${places[@]}" status "$target" | sed -n 's/^[AMD]  \([^"]\)/\1/p' ;;
    file) compgen -f -- "$cur" ;;
    folder) compgen -d -- "$cur" ;;
    mountpoint) awk '$3 == "fuse.stagefs" {print $2}' /proc/mounts ;;
    command)
      _stagefs_describe "$target"
      tr ' ' '\n' <<< "$subcommands" ;;
  esac 2> /dev/null
}

_stagefs() {
  local IFS=$' \t\n' words=() word previous='' command='' target='' kind='' places=() position=0 cur i
  local subcommands options values arguments global_options global_values
  # Names have colons, and values may come after =, where bash divides words.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i > 1)) && [[ $word == [:=]* || ${words[-1]} == *[:=] ]]; then words[-1]+=$word; else words+=("$word"); fi
  done
  cur=${words[-1]}
  _stagefs_describe ''
  global_options="$options --help" global_values=$values
  for word in "${words[@]:1:${#words[@]}-2}"; do
    if [ -n "$previous" ]; then
      [[ " $global_values" != *" $previous="* ]] || places+=("$previous" "$word")
      previous=''
    elif [[ $word == -?*=* ]]; then
      [[ " $global_values" != *" ${word%%=*}="* ]] || places+=("$word")
    elif [[ $word == -?* ]]; then
      _stagefs_value "$word"
      [ -z "$kind" ] || previous=$word
    elif [[ " $subcommands " == *" $word "* ]]; then
      command=${command:+$command }$word
      _stagefs_describe "$command"
    else
      [ "$position" -gt 0 ] || target=$word
      position=$((position + 1))
    fi
  done

  local names=''
  if [ -n "$previous" ]; then
    _stagefs_value "$previous"
  elif [[ $cur == --*=* ]]; then
    _stagefs_value "${cur%%=*}"
    cur=${cur#*=}
  elif [[ $cur == -* ]]; then
    kind=none names="$options $global_options"
    [ -n "$command" ] || names+=' --version'
  elif [ -n "$subcommands" ] && [ "$position" -eq 0 ]; then
    kind=none names=$subcommands
  else
    local -a kinds
    read -ra kinds <<< "$arguments"
    kind=${kinds[position]:-}
    [ -n "$kind" ] || [[ $arguments != *... ]] || kind=${arguments##* }
    kind=${kind%...}
  fi
  names=${names// /$'\n'}
  [ "$kind" = none ] || names=$(_stagefs_names "$kind")
  case $kind in
    workspace | target) [[ $cur == *:* ]] || compopt -o nospace ;;
    file | folder) compopt -o filenames ;;
    path) compopt -o nospace ;;
  esac 2> /dev/null
  IFS=$'\n'
  mapfile -t COMPREPLY < <(compgen -W "${names//\\/\\\\}" -- "$cur")
  # bash replaces only what comes after the last colon.
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then COMPREPLY=("${COMPREPLY[@]#"${cur%:*}:"}"); fi
}
complete -F _stagefs stagefs

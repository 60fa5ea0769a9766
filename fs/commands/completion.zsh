#compdef stagefs
# Completion for zsh. Made by `stagefs help --zsh`.

# What names are looked up with: the options before the command that say where repositories live.
_stagefs_ask() { command stagefs $places "$@" 2> /dev/null }
# The first argument of the command.
_stagefs_first() { print -r -- ${${words[2,-1]:#-*}[1]} }

_stagefs_nothing() { _message -e values value }
_stagefs_repository() { compadd -- ${(f)"$(_stagefs_ask list)"} }
_stagefs_workspace() {
  local repository=${PREFIX%%:*} id name rest
  if [[ $PREFIX == *:* ]]; then
    _stagefs_ask workspace list $repository | while read -r id name rest; do
      [[ $name != - ]] || name=$id
      compadd -- $repository:$name
    done
  else
    compadd -S : -- ${(f)"$(_stagefs_ask list)"}
  fi
}
_stagefs_target() { if [[ $PREFIX == *:* ]]; then _stagefs_workspace; else compadd -S '' -- ${(f)"$(_stagefs_ask list)"}; fi }
_stagefs_branch() { compadd -- ${${(f)"$(_stagefs_ask branch list ${"$(_stagefs_first)"%%:*})"}%%  *} }
_stagefs_revision() {
  _stagefs_branch
  compadd -- ${${(f)"$(_stagefs_ask log ${"$(_stagefs_first)"%%:*})"}%% *}
}
# Names that are quoted are left out, as are targets of links.
_stagefs_path() {
  local folder=''
  [[ $PREFIX != */* ]] || folder=${(Q)PREFIX%/*}/
  local -a names=(${(f)"$(_stagefs_ask ls "$(_stagefs_first)" $folder | sed -n 's/^.\{28\}//; s/ -> .*//; /^"/!p')"})
  compadd -S '' -- $folder${^names}
}
_stagefs_staged() {
  compadd -- ${(f)"$(_stagefs_ask status "$(_stagefs_first)" | sed -n 's/^[AMD]  \([^"]\)/\1/p')"}
}
_stagefs_file() { _files }
_stagefs_folder() { _files -/ }
_stagefs_mountpoint() { compadd -- ${(f)"$(awk '$3 == "fuse.stagefs" {print $2}' /proc/mounts)"} }
_stagefs_command() { words=(stagefs $words[2,-1]) _stagefs- }

# Completes one of `commands`, or what follows it. $1: the words before, joined by dashes.
_stagefs_next() {
  local curcontext=$curcontext state line
  _arguments -C $global_options '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest) (( ! $+functions[_stagefs-${1:+$1-}$words[1]] )) || _stagefs-${1:+$1-}$words[1] ;;
  esac
}

@FUNCTIONS@
_stagefs() {
  local -a places global_options=(
    @OPTIONS@
    '(- *)'{-h,--help}'[show what a command takes]' '(- *)--version[print the version]'
  )
  local -i i
  for (( i = 2; i < CURRENT; i++ )); do
    case $words[i] in
      --(root|index|versions)) places+=($words[i] $words[i+1]) ;;
      --(root|index|versions)=*) places+=($words[i]) ;;
    esac
  done
  _stagefs-
}
_stagefs "$@"

#!/usr/bin/env bash
# What bash and zsh complete, asked of real ones, and that every command can be completed.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK" || exit 1
mkdir bin files && ln -s "$STAGEFS_BINARY" bin/stagefs && echo one > files/one && echo two > "files/two three"
PATH=$WORK/bin:$PATH
check "a repository with a branch and workspaces" sh -c "stagefs create t/r && stagefs create t/images && stagefs workspace create t/r:day && stagefs workspace create t/r:night && stagefs branch create t/r relabel"
sum=$(stagefs put t/r files/one | cut -d' ' -f1)
printf "$sum  %s\n" dir/a dir/sub/b file "one two" > list && stagefs stage t/r:day list > /dev/null
stagefs help --bash > completion.bash
mkdir zsh && stagefs help --zsh > zsh/_stagefs
if command -v shellcheck > /dev/null; then
  check "shellcheck has nothing to say of bash's" shellcheck --severity=warning completion.bash
else
  skip "shellcheck of bash's" "not installed"
fi

# completed WORD…: what bash offers for the last, one a line. As readline does it, = and : divide words.
completed() {
  bash --norc --noprofile -c '
    . ./completion.bash
    COMP_WORDS=()
    for word; do
      while [[ $word =~ ^([^:=]*)([:=])(.*)$ ]]; do
        [ -z "${BASH_REMATCH[1]}" ] || COMP_WORDS+=("${BASH_REMATCH[1]}")
        COMP_WORDS+=("${BASH_REMATCH[2]}") word=${BASH_REMATCH[3]}
      done
      [ -z "$word" ] && [ "${COMP_WORDS[-1]:-}" != "" ] && [[ ${COMP_WORDS[-1]} == [:=] ]] || COMP_WORDS+=("$word")
    done
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _stagefs
    printf "%s\n" "${COMPREPLY[@]}"' bash "$@" 2>&1
}
offers() { equals "bash: $1" "$2" "$(completed stagefs "${@:3}" | LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//')"; }
offers "commands" "commit" comm
offers "the second word of a command" "create delete list merge" branch ""
offers "repositories" "t/images t/r" put t/
offers "repositories whose workspace is to be named" "t/images: t/r:" status ""
offers "workspaces" "day night" status t/r:
offers "workspaces that begin so" "night" --json ls t/r:n
offers "repositories of a root" "" --root "$WORK/nowhere" fsck ""
offers "branches" "main relabel" branch delete t/r ""
offers "branches as an option's value" "relabel" mount t/r:day --branch re
offers "branches after =" "relabel" mount t/r:day --branch=re
offers "commits, too, as revisions" "$({ echo main; echo relabel; stagefs log t/r | cut -d' ' -f1; } | LC_ALL=C sort | paste -sd' ')" branch create t/r new --from ""
offers "paths of a workspace" "dir/ file one two" ls t/r:day ""
offers "paths below a folder" "dir/a dir/sub/" rm t/r:day dir/
offers "folders to stage into" "dir/" stage t/r:day -d d
offers "what is staged" "dir/a dir/sub/b" unstage t/r:day d
offers "options" "--atomic" stage --at
offers "options of every command" "--help" fsck t/r --he
offers "short options" "-m" branch merge t/r -m
offers "files" "files/one files/two three" put t/r files/
offers "more files" "files/one" put t/r "files/two three" files/o
offers "folders" "files" import-oxen t/r f
offers "commands to help with" "branch" help bra
offers "their second words" "merge" help branch m
offers "nothing where nothing more is taken" "" fsck t/r ""
offers "nothing of an unknown command" "" bogus ""

# Every command as --help lists them.
words_below() { stagefs "$@" --help | sed -n '/^Subcommands:/,/^$/s/^  \([a-z-][a-z-]*\) .*/\1/p'; }
for word in $(words_below); do
  below=$(words_below "$word" | tr '\n' ' ')
  for command in "$word" $(for second in $below; do echo "$word+$second"; done); do
    read -ra words <<< "${command//+/ }"
    [ "$(completed stagefs "${words[@]}")" = "${words[-1]}" ] || echo "${words[*]} is not completed"
    stagefs "${words[@]}" --help | grep -q '^Example' || echo "${words[*]} has no example"
    [ "$(stagefs help "${words[@]}")" = "$(stagefs "${words[@]}" --help)" ] || echo "${words[*]}: help differs"
    options=$(stagefs "${words[@]}" --help | sed -n '/^Options:/,/^$/s/^  \(-[^ ]*\).*/\1/p' | tr ',' '\n' | grep '^--' | LC_ALL=C sort)
    offered=$(completed stagefs "${words[@]}" -- | LC_ALL=C sort)
    [ -z "$(comm -23 <(echo "$options") <(echo "$offered"))" ] || echo "${words[*]}: an option is not completed"
  done
done > faults
equals "every command is completed, with its options, and has an example" "" "$(cat faults)"
equals "there are as many as ever" yes "$([ "$(words_below | wc -l)" -ge 27 ] && echo yes)"

if command -v zsh > /dev/null; then
  check "zsh takes its completion" zsh -n zsh/_stagefs
  # zsh_completed TEXT: what a zsh on a terminal makes of it after Tab.
  zsh_completed() {
    python3 - "$1" << 'PY'
import os, pty, re, select, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PS1="", COLUMNS="200")
    os.execvp("zsh", ["zsh", "-f", "-i"])

def read_until(mark):
    text, deadline = "", time.monotonic() + 20
    while mark not in text and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 65536).decode(errors="replace")
    return text

setup = "fpath=($PWD/zsh $fpath); autoload -Uz compinit; compinit -D; PS1=; bindkey '^X' show; show() { print -r -- \"<$BUFFER>\" }; zle -N show; setopt no_list_beep; print re''ady\n"
os.write(terminal, setup.encode())
read_until("ready\r")
os.write(terminal, (sys.argv[1] + "\t\x18").encode())
found = re.findall(r"<(stagefs[^>]*)>", read_until(">"))
print(found[-1].strip() if found else "nothing")
os.write(terminal, b"\x03exit\n")
os.close(terminal)
PY
  }
  completes() { equals "zsh: $1" "$3" "$(zsh_completed "$2")"; }
  completes "commands" "stagefs comm" "stagefs commit"
  completes "the second word of a command" "stagefs branch me" "stagefs branch merge"
  completes "repositories" "stagefs fsck t/i" "stagefs fsck t/images"
  completes "workspaces" "stagefs status t/r:n" "stagefs status t/r:night"
  completes "options" "stagefs stage --at" "stagefs stage --atomic"
  completes "branches" "stagefs branch delete t/r re" "stagefs branch delete t/r relabel"
  completes "branches as an option's value" "stagefs branch create t/r new --from re" "stagefs branch create t/r new --from relabel"
  completes "files" "stagefs put t/r files/o" "stagefs put t/r files/one"
  completes "commands to help with" "stagefs help branch me" "stagefs help branch merge"
  completes "after options for all" "stagefs --root $STAGEFS_ROOT fsck t/i" "stagefs --root $STAGEFS_ROOT fsck t/images"
  completes "paths" "stagefs rm t/r:day dir/s" "stagefs rm t/r:day dir/sub/"
  completes "what is staged" "stagefs unstage t/r:day dir/s" "stagefs unstage t/r:day dir/sub/b"
else
  skip "zsh" "not installed"
fi

if command -v fish > /dev/null; then
  mkdir -p fish && HOME=$WORK/fish && export HOME
  stagefs help --fish > completion.fish
  check "fish takes its completion" fish --no-execute completion.fish
  # fish_offers WHAT EXPECTED TEXT: what fish would complete the last word of TEXT to.
  fish_offers() {
    equals "fish: $1" "$2" "$(fish --private -c 'source completion.fish; complete -C $argv[1] | string replace -r "\t.*" ""' "$3" 2>&1 | LC_ALL=C sort | paste -sd' ')"
  }
  fish_offers "commands" "commit" "stagefs comm"
  fish_offers "the second word of a command" "create delete list merge" "stagefs branch "
  fish_offers "repositories" "t/images t/r" "stagefs fsck t/"
  fish_offers "workspaces" "t/r:day t/r:night" "stagefs status t/r:"
  fish_offers "options" "--atomic" "stagefs stage --at"
  fish_offers "branches" "main relabel" "stagefs branch delete t/r "
  fish_offers "branches as an option's value" "relabel" "stagefs branch create t/r new --from re"
  fish_offers "paths" "dir/a dir/sub/" "stagefs rm t/r:day dir/"
  fish_offers "more paths" "dir/sub/" "stagefs rm t/r:day dir/a dir/s"
  fish_offers "what is staged" "dir/a dir/sub/b" "stagefs unstage t/r:day dir"
  fish_offers "files" "files/one" "stagefs put t/r files/o"
  fish_offers "after options for all" "t/images" "stagefs --root $STAGEFS_ROOT fsck t/i"
  fish_offers "commands to help with" "create delete list merge" "stagefs help branch "
else
  skip "fish" "not installed"
fi

# Completion for fish. Made by `stagefs help --fish`.

# The words so far that are neither options nor their values, without the program's name.
function __stagefs_words
    set -l takes @VALUES@
    set -l is_value 0
    for token in (commandline -opc)[2..-1]
        if test $is_value = 1
            set is_value 0
        else if string match -q -- '-*' $token
            contains -- $token $takes; and set is_value 1
        else
            echo -- $token
        end
    end
end

# What names are looked up with: the options that say where repositories live.
function __stagefs_ask
    set -l tokens (commandline -opc)
    set -l places
    for i in (seq 2 (count $tokens))
        set -l next (math $i + 1)
        contains -- $tokens[$i] --root --index --versions; and set -a places $tokens[$i] $tokens[$next]
        string match -qr -- '^--(root|index|versions)=' $tokens[$i]; and set -a places $tokens[$i]
    end
    command stagefs $places $argv 2>/dev/null
end

# Whether the command is these words, followed by as many arguments; `+` at the end: or by more.
function __stagefs_takes
    set -l count $argv[1]
    set -l command $argv[2..-1]
    set -l words (__stagefs_words)
    test (count $words) -ge (count $command); or return 1
    if test (count $command) -gt 0
        set -l first $words[1..(count $command)]
        test "$first" = "$command"; or return 1
    end
    set -l more (math (count $words) - (count $command))
    test "$count" = any; and return 0
    string match -q -- '*+' $count; and test $more -ge (string trim -c + -- $count); and return 0
    test "$more" = "$count"
end

# The names of a kind. The target is the word after so many.
function __stagefs_names
    set -l words (__stagefs_words)
    set -l at (math $argv[2] + 1)
    set -l target $words[$at]
    set -l current (commandline -ct)
    switch $argv[1]
        case repository
            __stagefs_ask list
        case workspace target
            if string match -q '*:*' -- $current
                set -l repository (string split -m 1 : -- $current)[1]
                __stagefs_ask workspace list $repository | while read -l id name rest
                    test $name = -; and set name $id
                    echo $repository:$name
                end
            else
                test $argv[1] = target; and __stagefs_ask list
                __stagefs_ask list | string replace -r '$' :
            end
        case branch
            __stagefs_ask branch list (string split -m 1 : -- $target)[1] | string replace -r '  [0-9a-f]*$' ''
        case revision
            __stagefs_names branch $argv[2]
            __stagefs_ask log (string split -m 1 : -- $target)[1] | string replace -r ' .*' ''
        case path # Names that are quoted are left out, as are targets of links.
            set -l folder (string match -r '.*/' -- $current)
            for name in (__stagefs_ask ls $target "$folder" | string sub -s 29 | string replace -r ' -> .*' '')
                string match -q '"*' -- $name; or echo -- $folder$name
            end
        case staged
            __stagefs_ask status $target | string replace -rf '^[AMD]  ([^"].*)' '$1'
        case mountpoint
            awk '$3 == "fuse.stagefs" {print $2}' /proc/mounts
    end
end

complete -c stagefs -f
@COMMANDS@

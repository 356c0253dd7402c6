#!/bin/sh
# test_cli.sh: what is the same for every command, whichever there are: help, wrong usage, a full standard output.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

t "version"
run 0 "$AGRL" --version
prints '^agrl [0-9]'
run 0 "$AGRL" version
prints '^agrl [0-9]'

t "help"
run 0 "$AGRL" help
prints '^usage: agrl'
run 0 "$AGRL" --help
prints '^usage: agrl'
run 2 "$AGRL"
silent

t "an unknown command"
run 2 "$AGRL" triain
silent
says "unknown command 'triain'"
run 2 "$AGRL" rule
says "did you mean 'rules'"

# Commands with commands of their own stand as "rules check".
commands=$("$AGRL" help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' | grep -v -e '^help$' -e '^version$')
[ -n "$commands" ] || wrong "no commands in the help"
below=$("$AGRL" rules --help | sed -n 's/^  \([a-z][a-z]*\)  .*/rules \1/p')

check() { # WORDS of a command
    t "agrl $*"
    run 0 "$AGRL" "$@" --help
    prints "^usage: agrl $*"
    [ -s err ] && wrong "help on stderr: $(head -c 300 err)"
    run 0 "$AGRL" help "$@"
    prints "^usage: agrl $*"
    run 2 "$AGRL" "$@" --no-such-option
    silent
    says .
    run 2 "$AGRL" "$@" a b c d e f g h --no-such-option=1
    silent
    says .
    if [ -c /dev/full ]; then
        "$AGRL" "$@" --help > /dev/full 2> err
        code=$?
        is "$code" 1
        says "standard output"
    fi
}

for command in $commands; do check "$command"; done
printf '%s\n' "$below" > below
while read -r first second; do
    [ -n "$second" ] && check "$first" "$second"
done < below

t "no room for arguments that look like options"
run 2 "$AGRL" pull --python
says "needs a value"
run 2 "$AGRL" pull --pyton x
says "did you mean '--python'"

t "a reader that goes away"
"$AGRL" help 2> err | head -n 1 > out
[ -s err ] && wrong "it complained: $(cat err)"

finish

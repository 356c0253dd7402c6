#!/bin/sh
# test_start.sh: init, doctor and pull, what somebody new meets first.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

t "init writes a starter"
run 0 "$AGRL" init new/shop
for file in rulebook.yaml facts.yaml run.yaml pairs.jsonl README.txt; do
    [ -s "new/shop/$file" ] || wrong "no $file"
done
is "$(wc -l < new/shop/pairs.jsonl)" 10
is "$(find new/shop -type f | wc -l)" 5

t "its rulebook has no problem"
run 0 "$AGRL" rules check new/shop/rulebook.yaml
prints '^no problems'

t "each pair's gold is what the rules derive"
run 0 "$AGRL" rules derive --rules new/shop/rulebook.yaml new/shop/pairs.jsonl
sed 's/.*"gold": {"tier": "\([^"]*\)".*"rule": "\([^"]*\)".*/{"tier":"\1","rule":"\2"}/' new/shop/pairs.jsonl > want
cmp -s out want || wrong "$(diff out want)"
run 0 "$AGRL" asked --rules new/shop/rulebook.yaml new/shop/pairs.jsonl
is "$(wc -l < out)" 10

t "an empty folder is filled, the current one too"
mkdir empty
run 0 "$AGRL" init empty
[ -s empty/run.yaml ] || wrong "no run.yaml"
mkdir here
cd here || exit 1
"$AGRL" init . > ../out 2> ../err || wrong "init . failed: $(cat ../err)"
cd ..
is "$(find here -type f | wc -l)" 5

t "a folder with something in it is left alone"
mkdir used
echo mine > used/notes
run 1 "$AGRL" init used
silent
says "'used' is not empty"
is "$(ls -A used)" notes
run 1 "$AGRL" init used/notes
says "is no folder"
run 1 "$AGRL" init used/notes/below
says .
is "$(cat used/notes)" mine

t "init on a full disk leaves nothing"
run 1 full_disk "$AGRL" init full
says .
absent full
mkdir full2
run 1 full_disk "$AGRL" init full2
says .
is "$(ls -A full2)" ""
run 2 "$AGRL" init
says "too few arguments"
run 2 "$AGRL" init ""
says "name of a folder"

t "doctor"
run 0 "$AGRL" doctor
for word in '^Machine' '^Libraries' 'oneDNN  *[0-9]' 'jansson  *[0-9]' 'libyaml  *[0-9]' 'PCRE2  *[0-9]' \
    'utf8proc  *[0-9]' 'zlib  *[0-9]' 'libmicrohttpd  *[0-9]' 'SQLite  *[0-9]' 'GPU' '^  device  *cpu' 'cuda' '^  dtype  *[bf]' '^  threads  *[1-9]' smollm2-135m; do
    prints "$word"
done
run 0 "$AGRL" doctor --json
is "$(wc -l < out)" 1
prints '"uses":{"device":"cpu"'
run 0 env -u HOME -u AGRL_HOME "$AGRL" doctor
prints "neither AGRL_HOME nor HOME"
if [ -c /dev/full ]; then
    "$AGRL" doctor > /dev/full 2> err
    is $? 1
    says "standard output"
fi

t "pull lists, and knows what it has"
run 0 "$AGRL" pull
prints 'smollm2-135m .*not here yet'
run 0 "$AGRL" pull --json
prints '"state": "absent"'
run 2 "$AGRL" pull smollm2-136m
silent
says "did you mean 'smollm2-135m'?"

t "pull without a Python says so and leaves nothing"
run 1 "$AGRL" pull smollm2-135m --python no-such-python
silent
tail -n 1 err > last
grep -q '^agrl: ' last || wrong "$(cat err)"
absent "$AGRL_HOME/models/smollm2-135m"
find "$AGRL_HOME" -type f 2> /dev/null | grep -q . && wrong "files were left: $(find "$AGRL_HOME" -type f)"

finish

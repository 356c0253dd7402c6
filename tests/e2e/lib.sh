# lib.sh: what the end-to-end tests share. Each script sources it, names its tests with `t`, and ends with `finish`.
# AGRL is the program and AGRL_SOURCE_DIR the project; run by hand, a test finds both by itself.
# shellcheck shell=sh

set -u
SRC=${AGRL_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
AGRL=${AGRL:-$SRC/build/release/agrl}
case $AGRL in /*) ;; *) AGRL=$PWD/$AGRL ;; esac
if [ ! -x "$AGRL" ]; then
    echo "$AGRL is not there: build first, or set AGRL" >&2
    exit 1
fi
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
trap 'exit 130' INT TERM
cd "$T" || exit 1
AGRL_HOME=$T/agrl-home # no test meets what this machine has pulled
export AGRL_HOME SRC
total=0 broken=0 good=1 name=

close_test() {
    [ -n "$name" ] || return 0
    total=$((total + 1))
    if [ $good -eq 1 ]; then echo "ok      $name"; else
        echo "FAILED  $name"
        broken=$((broken + 1))
    fi
}

t() { # NAME: the assertions that follow belong to it
    close_test
    name=$1
    good=1
}

wrong() {
    echo "  $*"
    good=0
}

# CODE COMMAND...: runs it with its output in out and err, and wants this exit code.
run() {
    want=$1
    shift
    "$@" > out 2> err
    code=$?
    [ "$code" -eq "$want" ] || wrong "exit $code in place of $want: $* : $(head -c 300 err)"
}

# The program's one line on stderr, and it says TEXT (a pattern of grep). Sanitizers' reports are more than a line.
says() {
    [ "$(wc -l < err)" -eq 1 ] || wrong "stderr must be one line, but is: $(head -c 600 err)"
    grep -q '^agrl: ' err || wrong "not our message: $(head -c 300 err)"
    grep -q -e "$1" err || wrong "'$(cat err)' does not say '$1'"
}

digest() { # RUN: of the bytes that must be the same on repeat: checkpoints, rollouts where there are any, metrics
    (cd "$1" && find . -type f -o -type l | grep -E '^\./(checkpoints/|rollouts/|metrics\.jsonl$)' | LC_ALL=C sort | while read -r f; do
        if [ -L "$f" ]; then printf '%s -> %s\n' "$f" "$(readlink "$f")"; else sha256sum "$f"; fi
    done) | sha256sum
}

# RUN COMMAND...: kills the command after some of the rollouts that it writes into RUN, until four kills have hit it; then lets it end.
killed() {
    folder=$1 kills=0 attempt=0
    shift
    while [ $kills -lt 4 ] && [ $attempt -lt 40 ]; do
        attempt=$((attempt + 1))
        "$@" > out 2> err &
        pid=$!
        before=$(find "$folder/rollouts" -name '*.gz' 2> /dev/null | wc -l) i=0
        while [ $i -lt 4000 ] && kill -0 $pid 2> /dev/null; do
            [ "$(find "$folder/rollouts" -name '*.gz' 2> /dev/null | wc -l)" -gt $((before + attempt % 3)) ] && break
            i=$((i + 1))
        done
        if kill -9 $pid 2> /dev/null; then kills=$((kills + 1)); fi
        wait $pid 2> /dev/null
    done
    run 0 "$@"
    [ $kills -ge 4 ] || wrong "only $kills kills hit the run"
}

prints() { # TEXT on stdout
    grep -q -e "$1" out || wrong "stdout does not say '$1': $(head -c 300 out)"
}

silent() { # nothing on stdout
    [ -s out ] && wrong "stdout must be empty: $(head -c 300 out)"
    return 0
}

is() { # A B
    [ "$1" = "$2" ] || wrong "'$1' is not '$2'"
}

absent() { # FILE...: not there, and no half-written file beside it
    for file in "$@"; do
        [ -e "$file" ] && wrong "$file must not be there"
        for rest in "$(dirname "$file")"/.agrl-*; do
            [ -e "$rest" ] && wrong "$rest was left behind"
        done
    done
    return 0
}

# COMMAND...: no file may grow past a few hundred bytes, as on a full disk.
full_disk() {
    (
        trap '' XFSZ
        ulimit -f 1
        "$@"
    )
}

has() { # COMMAND: the program has it
    "$AGRL" help | grep -q "^  $1 "
}

finish() {
    close_test
    echo "[  PASSED  ] $((total - broken)) test(s)."
    [ $broken -eq 0 ] && exit 0
    echo "[  FAILED  ] $broken test(s)"
    exit 1
}

# PAIRS PRODUCTS SETTINGS: an invented shop in data/, and a judge of a few steps of SFT with these settings in run/.
small_judge() {
    "$AGRL" synth --rules "$SRC/rules/shop.yaml" --out data --pairs "$1" --products "$2" --seed 5 --quiet 2> synth.log
    cat > run.yaml << YAML
scratch: {preset: nano, vocab: 600}
rules: $SRC/rules/shop.yaml
data: {train: data/sft.jsonl, valid: data/valid.jsonl, lexicon: data/lexicon.json}
prompt: {rules: false}
out: run
threads: 1
kv_slots: 4096
valid: {pairs: 4, answers: 1}
stages:
  - {method: sft, $3}
YAML
    "$AGRL" train run.yaml > /dev/null 2> train.log || cat train.log
}

# STAGE STAGE [VALID]: an invented shop without R5 in d/ and its pool.jsonl, of which R5 has a good part; sft.yaml trains from scratch into sft
# by the first stage, rl.yaml goes on from the folder start by the second one. VALID: validation pairs of both.
shop_without_rule() {
    book=$SRC/rules/shop-brief.yaml
    "$AGRL" synth --rules "$book" --out d --pairs 2600 --products 400 --seed 3 --withhold R5 --quiet > out 2> err || cat err
    grep '"rule":"R5"' d/rl.jsonl > pool.jsonl
    grep -v '"rule":"R5"' d/rl.jsonl | head -n 60 >> pool.jsonl
    cat > sft.yaml << YAML
scratch: {preset: nano, vocab: 700}
rules: $book
data: {train: d/sft.jsonl,${3:+ valid: $3,} lexicon: d/lexicon.json}
prompt: {rules: false, item_tokens: 60, repeat_query: false, mark_matches: true}
out: sft
threads: 1
dtype: fp32
hints: {share: 0.5, counterfactual: 0.7}
stages:
  - {$1}
YAML
    sed -e 's/^scratch.*/model: start/; /^hints/d; /^stages/,$d; s/lexicon/pool: pool.jsonl, lexicon/' sft.yaml > rl.yaml
    printf 'stages:\n  - {%s}\n' "$2" >> rl.yaml
}

# KEY RUN RUN BOUND: the values of all steps agree to that, of the largest.
near() {
    for r in "$2" "$3"; do grep -o "\"$1\":[^,}]*" "$r/metrics.jsonl" | sed 's/.*://' > "$r.values"; done
    paste -d ' ' "$2.values" "$3.values" > pairs.txt
    [ -s pairs.txt ] || wrong "no $1"
    awk -v bound="$4" 'NF != 2 { bad = 1 } { d = $1 - $2; if (d < 0) d = -d; if (d > worst) worst = d; a = $1 < 0 ? -$1 : $1; if (a > most) most = a }
        END { printf "%s: %.3g of %.3g\n", "largest difference", worst, most; exit bad || worst > bound * most }' pairs.txt > far.txt ||
        wrong "$1 of $2 and $3: $(cat far.txt)"
    echo "  $1, $2 and $3: $(cat far.txt)"
}

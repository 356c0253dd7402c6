#!/bin/sh
# test_ranks.sh: two and three ranks on one machine (mpirun) against one: the same losses, gradients and sampled answers up to rounding, the
# same bytes on repeat and after a kill, one folder, one voice; and what is refused. On a machine with cards, a rank a card:
#   AGRL_CARDS=2 tests/e2e/test_ranks.sh
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
if ! command -v mpirun > /dev/null 2>&1 || ! [ -e "$(dirname "$AGRL")/libagrl_mpi.so" ]; then
    echo "skipped: no mpirun or no libagrl_mpi.so"
    exit 77
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_orte_base_help_aggregate=0
shop_without_rule "method: sft, steps: 8, batch: 9, lr: 2.0e-3, warmup: 0.2, valid_every: 4" \
    "method: agrl, steps: 5, batch: 7, group: 4, lr: 5.0e-4, refills: 0, beta: 0.02, replay_warmup: 0, hint_answers: 4, keep_rollouts: true, checkpoint_every: 2, anchor: 0.1" \
    d/valid.jsonl
cards=${AGRL_CARDS:-0} sizes='two three'
if [ "$cards" -gt 0 ]; then
    for file in sft.yaml rl.yaml; do echo 'device: cuda' >> $file; done
    [ "$cards" -ge 3 ] || sizes=two # cards are not shared
fi

# N COMMAND...: by N ranks
ranks() {
    n=$1
    shift
    mpirun -n "$n" "$@"
}

# RUN: who was asked what, at which level of hint, and what came
answers() { for f in "$1"/rollouts/*.gz; do gunzip -c "$f"; done | sed 's/"id":"\([^"]*\)","draw":\([0-9]*\),"sample":\([0-9]*\),"level":\([0-9]*\).*"tokens":\(\[[^]]*\]\).*/\1 \2 \3 level \4 \5/'; }

t "SFT by two and three ranks: the losses and gradients of one, one folder, one voice"
run 0 "$AGRL" train sft.yaml --set out=one
run 0 ranks 2 "$AGRL" train sft.yaml --set out=two
[ "$(grep -c 'training pairs' err)" = 1 ] || wrong "who speaks: $(cat err)"
grep -q "2 ranks" err || wrong "says nothing of ranks: $(cat err)"
[ "$sizes" = two ] || run 0 ranks 3 "$AGRL" train sft.yaml --set out=three
for r in $sizes; do
    near loss one $r 1e-5
    near grad_norm one $r 1e-4
    near nll one $r 1e-4
    [ "$(grep -o '"tokens":[0-9]*' one/metrics.jsonl)" = "$(grep -o '"tokens":[0-9]*' $r/metrics.jsonl)" ] || echo "  other rows are shared (as expected)"
done

t "AGRL: the same answers, replay and losses"
run 0 "$AGRL" train sft.yaml --set out=start --set stages.0.steps=500 --set stages.0.batch=12 --set stages.0.optimizer=muon \
    --set stages.0.lr=1e-2 --set stages.0.beta2=0.99 --set stages.0.choice_weight=3 --set stages.0.valid_every=0
run 0 "$AGRL" train rl.yaml --set out=one-rl
run 0 ranks 2 "$AGRL" train rl.yaml --set out=two-rl
near loss one-rl two-rl 1e-4
near grad_norm one-rl two-rl 1e-3
answers one-rl > a.txt
answers two-rl > b.txt
same=$(paste -d '|' a.txt b.txt | awk -F'|' '$1 == $2' | wc -l) all=$(wc -l < a.txt)
[ "$all" -gt 100 ] && [ "$(wc -l < b.txt)" = "$all" ] && [ $((same * 100)) -ge $((all * 99)) ] || # a draw may fall on a boundary
    wrong "other answers ($same of $all are the same): $(diff a.txt b.txt | head -c 600)"
grep -q ' level [1-5]' a.txt || wrong "nothing was replayed"

t "the same bytes again, and after a kill"
ranks 2 "$AGRL" train rl.yaml --set out=again > out 2> err &
mpi=$!
tries=0
while ! [ -d again/checkpoints/step-2 ] && [ $tries -lt 600 ]; do sleep 0.1; tries=$((tries + 1)); done
pkill -9 -f "train rl.yaml --set out=again" || :
wait $mpi && wrong "a killed run ended well"
run 0 ranks 2 "$AGRL" train again/config.yaml --resume; [ -e again/checkpoints/step-5 ] || wrong "$(tail -n 3 err)"
for file in metrics.jsonl checkpoints/step-5/model.safetensors unsolved.jsonl; do
    cmp two-rl/$file again/$file || wrong "$file differs"
done

t "what is refused"
run 2 "$AGRL" train again/config.yaml --resume
grep -q "the run had 2 ranks and now has 1" err || wrong "resume with other ranks: $(cat err)"
if ranks 2 "$AGRL" train rl.yaml --set out=two-rl > out 2> err; then wrong "a folder that holds a run"; fi
grep -q "two-rl already holds a run" err || wrong "$(cat err)"
if ranks 2 "$AGRL" judge x > out 2> err; then wrong "judge by two ranks"; fi
grep -q "agrl judge works alone" err || wrong "$(cat err)"
mkdir bare
cp "$AGRL" bare/agrl
if OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 bare/agrl train rl.yaml --set out=never > out 2> err; then wrong "ranks without MPI"; fi
grep -q "this build has no libagrl_mpi.so" err || wrong "$(cat err)"
! [ -e never ] || wrong "it made a folder"
finish

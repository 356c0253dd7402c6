#!/bin/sh
# test_cuda.sh: device: cuda in whole runs against the processor: the same losses in fp32 (SFT, and AGRL on rollouts that the processor
# recorded), near ones in bf16, sampling and training of one policy, the same bytes on repeat and after a kill. Runs the emulated plugin
# (tests/emulator), slowly; on a card:
#   AGRL_CUDA=build/release/agrl AGRL_CUDA_STEPS=50 AGRL_CUDA_UPDATES=20 tests/e2e/test_cuda.sh
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
cuda=${AGRL_CUDA:-$(dirname "$AGRL")/emulated/agrl}
case $cuda in /*) ;; *) cuda=$SRC/$cuda ;; esac
if ! [ -x "$cuda" ]; then
    echo "skipped: no $cuda"
    exit 77
fi
steps=${AGRL_CUDA_STEPS:-6} updates=${AGRL_CUDA_UPDATES:-3}
shop_without_rule "method: sft, steps: $steps, batch: 8, lr: 2.0e-3, warmup: 0.2, checkpoint_every: 2" \
    "method: agrl, steps: $updates, batch: 6, group: 4, lr: 5.0e-4, refills: 0, beta: 0.02, replay_warmup: 0, hint_answers: 4"

t "SFT: the losses and gradients of the processor, in fp32"
run 0 "$AGRL" train sft.yaml --set out=cpu
run 0 "$cuda" train sft.yaml --set out=card --set device=cuda
near loss cpu card 1e-4
near grad_norm cpu card 1e-3

t "and near them in bf16" # with a vocabulary in whole pieces of 16 bytes, for which the card has kernels of its own
run 0 "$AGRL" train sft.yaml --set out=cpu704 --set scratch.vocab=704
for recompute in head none; do
    run 0 "$cuda" train sft.yaml --set out=card16-$recompute --set scratch.vocab=704 --set device=cuda --set dtype=bf16 --set recompute=$recompute
    near loss cpu704 card16-$recompute 1e-2
done

t "LoRA, and activations computed again: the processor's losses"
sed -e 's/^scratch.*/model: cpu\/checkpoints\/last/; s/steps: [0-9]*/steps: 3/' -e '/^dtype/a recompute: layer' -e '/^dtype/a lora: {rank: 4}' sft.yaml > lora.yaml
run 0 "$AGRL" train lora.yaml --set out=cpu-lora
run 0 "$cuda" train lora.yaml --set out=card-lora --set device=cuda
near loss cpu-lora card-lora 1e-4
near grad_norm cpu-lora card-lora 1e-3

t "the same bytes again, and after a kill"
"$cuda" train sft.yaml --set out=again --set device=cuda > out 2> err &
pid=$!
i=0
while [ $i -lt 600 ] && kill -0 $pid 2> /dev/null && ! [ -e again/checkpoints/last ]; do
    sleep 0.1
    i=$((i + 1))
done
kill -9 $pid 2> /dev/null || wrong "not killed"
wait $pid 2> /dev/null
[ -e again/checkpoints/last ] && ! [ -e "again/checkpoints/step-$steps" ] || wrong "no checkpoint: $(ls again/checkpoints 2>&1)"
run 0 "$cuda" train sft.yaml --set out=again --set device=cuda --resume
[ "$(digest card)" = "$(digest again)" ] || wrong "other bytes: $(diff -rq card again | head -5)"

t "AGRL on rollouts that the processor recorded: its losses"
run 0 "$AGRL" train sft.yaml --set out=start --set stages.0.steps=500 --set scratch.vocab=720 --set stages.0.batch=12 --set stages.0.optimizer=muon \
    --set stages.0.lr=1e-2 --set stages.0.beta2=0.99 --set stages.0.choice_weight=3 --set stages.0.checkpoint_every=0
run 0 "$AGRL" train rl.yaml --set out=live
run 0 "$AGRL" train rl.yaml --set out=cpu-rl --set stages.0.rollouts=live/rollouts
run 0 "$cuda" train rl.yaml --set out=card-rl --set device=cuda --set stages.0.rollouts=live/rollouts
near loss cpu-rl card-rl 1e-4
near grad_norm cpu-rl card-rl 1e-3
run 0 "$cuda" train rl.yaml --set out=card-rl16 --set device=cuda --set dtype=bf16 --set stages.0.rollouts=live/rollouts
near loss cpu-rl card-rl16 1e-2
grep -o '"guided_share":[^,}]*' cpu-rl/metrics.jsonl | awk -F: '$2 > 0 { n++ } END { exit !n }' || wrong "no guided answer among them"

t "sampling there: the policy that is trained, and the same bytes again"
run 0 "$cuda" train rl.yaml --set out=own --set device=cuda --set stages.0.steps=1
run 0 "$cuda" train rl.yaml --set out=own2 --set device=cuda --set stages.0.steps=1
[ "$(digest own)" = "$(digest own2)" ] || wrong "other bytes: $(diff -rq own own2 | head -5)"
grep -o '"mismatch_max":[^,}]*' own/metrics.jsonl | awk -F: '$2 > 0 && $2 < 1e-4 { n++ } END { exit n != NR || !n }' ||
    wrong "log-probabilities at sampling and in training: $(grep -o '"mismatch_max":[^,}]*' own/metrics.jsonl)"
for out in narrow narrow2; do run 0 "$cuda" train rl.yaml --set out=$out --set device=cuda --set dtype=bf16 --set stages.0.steps=1; done
[ "$(digest narrow)" = "$(digest narrow2)" ] || wrong "other bytes: $(diff -rq narrow narrow2 | head -5)"
grep -o '"mismatch_max":[^,}]*' narrow/metrics.jsonl | awk -F: '$2 > 0 && $2 < 0.05 { n++ } END { exit n != NR || !n }' ||
    wrong "log-probabilities at sampling and in training, bf16: $(grep -o '"mismatch_max":[^,}]*' narrow/metrics.jsonl)"
echo "  bf16: $(grep -o '"mismatch_max":[^,}]*' narrow/metrics.jsonl)"

t "a run that is too large for the card is refused before it starts"
run 1 "$cuda" train sft.yaml --set out=large --set device=cuda --set micro_tokens=100000000
grep -q "needs [0-9]* MiB and device 'cuda' has [0-9]* ([0-9]* free); lower micro_tokens" err || wrong "$(tail -n 1 err)"
[ ! -e large/metrics.jsonl ] || wrong "it started"

finish

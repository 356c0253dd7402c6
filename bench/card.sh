#!/bin/sh
# card.sh: speeds on a card in some five minutes: products, prefill, training, decode, a GRPO step, the way to a run's first step (with
# SmolLM2-135M, pulled where it is missing); the same in PyTorch where it is there; where the time goes by operation, and by kernel where ncu is there.
# Run tests/card.sh first.
# usage: bench/card.sh BUILD OUT      BUILD: a folder with agrl, bench_products, bench_engine, bench_grpo and libagrl_cuda.so (cmake -DAGRL_BENCH=ON)
set -u
[ $# -eq 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 2
mkdir -p "$2"
out=$(cd "$2" && pwd)

part() { # NAME COMMAND...: its output under a title, and in OUT
    name=$1
    shift
    echo "== $name"
    timeout 200 "$@" 2>&1 | tee "$out/$name.txt"
}

part products "$build/bench_products"
part engine "$build/bench_engine" -d cuda -l 1024 -p 32 -s 8 -h -r none 32768 0 bf16
part engine-by-operation "$build/bench_engine" -d cuda -l 1024 -p 32 -s 8 -h -r none -w 32768 0 bf16
part grpo "$build/bench_grpo" -d cuda -n 32 -r none random 0 bf16 5
part grpo-by-operation "$build/bench_grpo" -d cuda -n 32 -r none -w random 0 bf16 3
part engine-qwen2.5-0.5b "$build/bench_engine" -m qwen2.5-0.5b -d cuda -l 1024 -p 32 -s 8 -h -r none 16384 0 bf16
part start env AGRL="$build/agrl" "$here/start.sh" "$out/start" --set device=cuda
if command -v ncu > /dev/null; then
    echo "== kernels of a GRPO step, microseconds in all (times under ncu): $out/kernels.txt"
    timeout 240 ncu --csv --metrics gpu__time_duration.sum "$build/bench_grpo" -d cuda -n 32 -r none random 0 bf16 1 > "$out/ncu.csv" 2> "$out/ncu.log"
    awk -F'","' '/gpu__time_duration/ { name = $5; sub(/[(].*/, "", name); name = substr(name, 1, 100)
        value = $NF; gsub(/[",]/, "", value); t[name] += value / ($(NF - 1) ~ /^n/ ? 1000 : 1); n[name]++ } END { for (k in t) printf "%10.0f %7d %s\n", t[k], n[k], k }' "$out/ncu.csv" | sort -rn > "$out/kernels.txt"
    head -25 "$out/kernels.txt"
    gzip -f "$out/ncu.csv"
fi
if python3 -c 'import torch, transformers' 2> /dev/null; then part torch python3 "$here/cuda_torch.py"; fi

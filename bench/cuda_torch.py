#!/usr/bin/env python3
"""cuda_torch.py: what bench_engine and bench_grpo time on a card, in PyTorch and transformers on the same card.

A LLaMA of SmolLM2-135M's shape with random weights, bf16 products with fp32 masters (autocast), fused AdamW:
  training   32 packed sequences of 1,024 tokens, every token trained, one update; eager and compiled
  generate   256 sequences (32 prompts of 600 tokens, 8 each), 64 new tokens, static cache where it works
  grpo       a step: 32 prompts of 600 tokens x 8 answers of 80 sampled tokens, then one forward and backward over 256 x 680 and an update
usage: cuda_torch.py [training] [generate] [grpo]     (default: all)
"""
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(1)
torch.backends.cuda.matmul.allow_tf32 = True
SHAPE = LlamaConfig(
    vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
    max_position_embeddings=8192, rope_theta=100000, tie_word_embeddings=True, attn_implementation="sdpa")


def make():
    return LlamaForCausalLM(SHAPE).cuda()


def clock(run, rounds):
    times = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def peak():
    return torch.cuda.max_memory_allocated() / 2**30


def loss_of(model, ids, first):
    """Cross-entropy of the tokens from `first` on, their logits alone."""
    hidden = model.model(ids).last_hidden_state[:, first - 1:-1]
    logits = model.lm_head(hidden).float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, first:].flatten())


def training():
    for compiled in (False, True):
        torch.cuda.reset_peak_memory_stats()
        model = make()
        optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
        ids = torch.randint(0, 49152, (32, 1024), device="cuda")
        loss = torch.compile(loss_of) if compiled else loss_of

        def step():
            for part in ids.split(8):
                with torch.autocast("cuda", torch.bfloat16):
                    value = loss(model, part, 1)
                (value / 4).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

        for _ in range(3):
            step()
        seconds = clock(step, 5)
        print(f"training {'compiled' if compiled else 'eager'}: {32 * 1024 / seconds:.0f} tokens/s, {seconds:.3f} s, peak {peak():.1f} GiB", flush=True)
        del model, optimizer


def prompts(n):
    shared = torch.randint(5, 49152, (1, 500), device="cuda")
    own = torch.randint(5, 49152, (n, 100), device="cuda")
    return torch.cat([shared.expand(n, -1), own], 1)


def sample(model, ids, tokens):
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        return model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=True, top_k=0,
                              pad_token_id=0, eos_token_id=None)


def generate():
    model = make().to(torch.bfloat16).eval()
    ids = prompts(32).repeat_interleave(8, 0)
    sample(model, ids, 4)
    one = clock(lambda: sample(model, ids, 1), 3)
    many = clock(lambda: sample(model, ids, 65), 3)
    print(f"generate: {256 * 64 / (many - one):.0f} new tokens/s, prefill {one:.3f} s", flush=True)


def grpo():
    torch.cuda.reset_peak_memory_stats()
    model = make()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-6, fused=True)

    def step():
        begin = time.perf_counter()
        model.eval()
        ids = sample(model, prompts(32).repeat_interleave(8, 0), 80)
        torch.cuda.synchronize()
        step.rollout = time.perf_counter() - begin
        model.train()
        advantage = torch.randn(256, 1, device="cuda")
        for part, a in zip(ids.split(32), advantage.split(32)):
            with torch.autocast("cuda", torch.bfloat16):
                hidden = model.model(part).last_hidden_state[:, 599:-1]
                logits = model.lm_head(hidden).float()
            chosen = torch.gather(logits.log_softmax(-1), 2, part[:, 600:, None])[..., 0]
            (-(torch.exp(chosen - chosen.detach()) * a).mean() / 8).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step()
    seconds = clock(step, 3)
    print(f"grpo step: {seconds:.2f} s (rollout {step.rollout:.2f}), peak {peak():.1f} GiB", flush=True)


print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}", flush=True)
a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
a @ a
print(f"cuBLAS bf16 at 8192 cubed: {2 * 8192**3 / clock(lambda: a @ a, 5) / 1e12:.0f} TFLOP/s", flush=True)
for name in sys.argv[1:] or ["training", "generate", "grpo"]:
    {"training": training, "generate": generate, "grpo": grpo}[name]()

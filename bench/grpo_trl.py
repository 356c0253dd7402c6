#!/usr/bin/env python3
"""The step that bench_grpo times, in TRL: GRPOTrainer with transformers on the processor, without vLLM.

2 prompts of 600 tokens (the first 500 of both the same), 8 answers each of 80 tokens sampled at temperature 1 (the end
token is held back by min_new_tokens), beta 0, one iteration, random rewards, AdamW, the gradient's norm clipped at 1.
The first step is a warm-up; of the others the one with the median time is reported, with the peak resident memory.

MODEL is a Hugging Face folder; without it a random LlamaForCausalLM of SmolLM2-135M's shape, which takes the same time.
Prompts are random token ids, so no tokenizer is read. bf16 is TRL's own default: fp32 weights, products in bf16
(autocast); --narrow keeps the weights and the optimizer's state in bf16 too. The forward and backward take --batch
answers at a time, and activations are kept unless --checkpointing (TRL's default) asks to compute them again.
"""
import argparse
import os
import random
import resource
import sys
import time
import warnings

INSTALL = """grpo_trl.py needs torch, transformers and TRL (measured with TRL 1.16.0), and here {0}. In a virtual environment:
  pip install torch --index-url https://download.pytorch.org/whl/cpu   # or plain: pip install torch
  pip install transformers trl==1.16.0"""

PROMPTS, GROUP, PROMPT, SHARED, ANSWER, VOCAB = 2, 8, 600, 500, 80, 49152


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="?", help="a Hugging Face folder (default: random weights)")
    p.add_argument("--dtype", choices=["fp32", "bf16"], default="bf16")
    p.add_argument("--narrow", action="store_true", help="bf16: weights too")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=1, help="steps after the warm-up")
    p.add_argument("--batch", type=int, default=4, help="answers a forward; divides 16")
    p.add_argument("--checkpointing", action="store_true", help="compute activations again in backward")
    p.add_argument("--check", action="store_true", help="only say whether the packages are there (exit 77: not)")
    return p.parse_args()


def words(vocab):
    """A tokenizer whose words are the token ids themselves."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    t = Tokenizer(models.WordLevel({str(i): i for i in range(vocab)}, unk_token="0"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=t, unk_token="0", eos_token="2", pad_token="2", padding_side="left")


def load(a):
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    dtype = torch.bfloat16 if a.narrow else torch.float32
    if a.model:
        return AutoModelForCausalLM.from_pretrained(a.model, dtype=dtype)
    shape = LlamaConfig(vocab_size=VOCAB, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
                        num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=8192,
                        rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2)
    torch.manual_seed(1)
    return LlamaForCausalLM(shape).to(dtype)


def prompts(vocab):
    r = random.Random(1)
    draw = lambda n: [r.randrange(3, vocab) for _ in range(n)]
    shared = draw(SHARED)
    return [" ".join(map(str, shared + draw(PROMPT - SHARED))) for _ in range(PROMPTS)]


def make_trainer(a, model, took):
    import datasets
    import transformers
    from trl import GRPOConfig, GRPOTrainer

    rewards = random.Random(2)

    def reward(completion_ids, **_):
        lengths = {len(c) for c in completion_ids}
        if lengths != {ANSWER}:
            sys.exit(f"grpo_trl.py: answers of {sorted(lengths)} tokens, not of {ANSWER}")
        return [rewards.random() for _ in completion_ids]

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *_, **__):
            took.append({"rollout": 0.0, "cpu": time.process_time(), "start": time.perf_counter()})

        def on_step_end(self, *_, **__):
            step = took[-1]
            step["total"] = time.perf_counter() - step["start"]
            step["cpu"] = time.process_time() - step["cpu"]
            print(f"{'warm-up' if len(took) == 1 else 'step':8} {step['total']:6.2f} s: rollout {step['rollout']:.2f}, "
                  f"update {step['total'] - step['rollout']:.2f}; processor {step['cpu']:.2f} s", flush=True)

    class Trainer(GRPOTrainer):
        def _generate(self, *args, **kwargs):
            start = time.perf_counter()
            made = super()._generate(*args, **kwargs)
            took[-1]["rollout"] += time.perf_counter() - start
            return made

    config = GRPOConfig(
        output_dir=os.path.join(os.environ.get("TMPDIR", "/tmp"), "grpo_trl"), use_cpu=True, bf16=a.dtype == "bf16",
        max_steps=1 + a.steps, per_device_train_batch_size=a.batch, gradient_accumulation_steps=PROMPTS * GROUP // a.batch,
        num_generations=GROUP, num_iterations=1, max_completion_length=ANSWER, temperature=1.0,
        generation_kwargs={"min_new_tokens": ANSWER}, beta=0.0, learning_rate=1e-6, max_grad_norm=1.0,
        gradient_checkpointing=a.checkpointing, dataloader_pin_memory=False, save_strategy="no",
        logging_strategy="no", report_to="none", disable_tqdm=True, seed=1)
    vocab = model.config.vocab_size
    trainer = Trainer(model=model, reward_funcs=reward, args=config, processing_class=words(vocab), callbacks=[Clock()],
                      train_dataset=datasets.Dataset.from_dict({"prompt": prompts(vocab)}))
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def main():
    a = arguments()
    if a.narrow and a.dtype != "bf16":
        sys.exit("grpo_trl.py: --narrow goes with --dtype bf16")
    if a.steps < 1 or a.batch < 1 or PROMPTS * GROUP % a.batch:
        sys.exit("grpo_trl.py: --steps must be at least 1 and --batch a divisor of 16")
    os.environ.update(OMP_NUM_THREADS=str(a.threads), CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1")
    try:
        import torch
        import transformers
        import trl
        from trl import GRPOTrainer  # noqa: F401 (brings in what TRL itself needs)
    except ImportError as e:
        print(INSTALL.format(f"'{e}'"), file=sys.stderr)
        sys.exit(77)
    if a.check:
        return
    torch.set_num_threads(a.threads)
    warnings.simplefilter("ignore", FutureWarning)
    transformers.logging.set_verbosity_error()
    print(f"TRL {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}: "
          f"{a.model or 'random weights'}, {a.dtype}{' (weights too)' if a.narrow else ''}, {a.threads} threads, "
          f"{a.batch} answers a forward{', checkpointing' if a.checkpointing else ''}", flush=True)
    took = []
    make_trainer(a, load(a), took).train()
    step = sorted(took[1:], key=lambda s: s["total"])[a.steps // 2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"result: seconds {step['total']:.3f} rollout {step['rollout']:.3f} update {step['total'] - step['rollout']:.3f} "
          f"cpu {step['cpu']:.3f} peak_mib {peak:.0f}")


main()

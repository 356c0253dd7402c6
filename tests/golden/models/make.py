#!/usr/bin/env python3
"""Makes the small random models of this folder and what they should answer.

Each Hugging Face folder holds config.json and weights, and golden.json beside them:
  {"tokens": [...], "logprobs": [...], "last": [...], "rows": {"<tensor>": {"shape": [...], "<row>": [values]}}}
logprobs[i] is the natural-log probability of tokens[i + 1] after tokens[0..i], and `last` the log-probability of
every token of the vocabulary after the whole sequence, from transformers in float32 with its plain attention.
`rows` holds some rows of some tensors as they are read.

Each FILE.gguf is made with the gguf package from weights of the same kind; FILE.golden.json beside it is
like golden.json, its rows under their Hugging Face names, dequantised by the same package.

Usage: make.py [FOLDER]     (needs torch, transformers, safetensors, gguf; the tests only read what it wrote)
"""
import json
import math
import os
import shutil
import sys

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM)

LENGTH = 60

COMMON = dict(num_hidden_layers=2, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=1, hidden_act="silu",
              attn_implementation="eager")

# name -> config class, model class, arguments, type of the weights on disk, number of files
MODELS = {
    "llama-tied": (LlamaConfig, LlamaForCausalLM, dict(
        vocab_size=128, hidden_size=64, intermediate_size=96, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, max_position_embeddings=128, rope_theta=10000.0, tie_word_embeddings=True), "bf16", 1),
    "llama3-sharded": (LlamaConfig, LlamaForCausalLM, dict(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, max_position_embeddings=256, rope_theta=10000.0, tie_word_embeddings=False,
        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=64)), "f32", 3),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, dict(
        vocab_size=200, hidden_size=48, intermediate_size=96, num_attention_heads=6, num_key_value_heads=2,
        max_position_embeddings=128, rope_theta=1000000.0, tie_word_embeddings=False), "bf16", 1),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, dict(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, max_position_embeddings=128, rope_theta=1000000.0, tie_word_embeddings=True), "f32", 1),
}


def build(config_class, model_class, arguments, seed):
    """A model with weights large enough that its answers are far from uniform."""
    torch.manual_seed(seed)
    config = config_class(**{**COMMON, **arguments})
    model = model_class(config).float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 2:
                gain = 0.5 if "embed" in name or "lm_head" in name else 1.5
                p.copy_(torch.randn_like(p) * gain / math.sqrt(p.shape[1] if gain > 1 else 8))
            elif "norm" in name:
                p.copy_(1.0 + 0.2 * torch.randn_like(p))
            else:
                p.copy_(0.3 * torch.randn_like(p))
    return config, model


def answer(model, vocab, seed):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, vocab, (LENGTH,), generator=generator)
    with torch.no_grad():
        logp = torch.log_softmax(model(tokens[None]).logits[0].double(), -1)
    return {"tokens": tokens.tolist(),
            "logprobs": [round(logp[i, tokens[i + 1]].item(), 7) for i in range(LENGTH - 1)],
            "last": [round(x, 7) for x in logp[-1].tolist()]}


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, separators=(",", ":"))
        f.write("\n")


def tensors_of(model):
    tied = model.config.tie_word_embeddings
    return {n: p.detach() for n, p in model.state_dict().items() if not (tied and n == "lm_head.weight")}


def config_json(model, dtype):
    """The keys that checkpoints in the wild have, whichever release of transformers runs here."""
    c = model.config
    out = {"architectures": [type(model).__name__], "model_type": c.model_type}
    for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                "num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "hidden_act",
                "tie_word_embeddings", "bos_token_id", "eos_token_id"):
        out[key] = getattr(c, key)
    if getattr(c, "head_dim", None):
        out["head_dim"] = c.head_dim
    rope = dict(getattr(c, "rope_parameters", None) or getattr(c, "rope_scaling", None) or {})
    out["rope_theta"] = rope.pop("rope_theta", None) or c.rope_theta
    out["rope_scaling"] = rope if rope.get("rope_type", "default") != "default" else None
    out["torch_dtype"] = {"bf16": "bfloat16", "f32": "float32"}[dtype]
    return out


def rows_of(w):
    """Shape and the first, a middle and the last row of a tensor; a vector whole."""
    out = {"shape": list(w.shape)}
    if w.ndim == 1:
        out["0"] = [float(x) for x in w]
    else:
        for r in sorted({0, w.shape[0] // 2 - 1, w.shape[0] - 1}):
            out[str(r)] = [float(x) for x in w[r]]
    return out


def make_folder(root, name, row, seed):
    config_class, model_class, arguments, dtype, shards = row
    folder = os.path.join(root, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    config, model = build(config_class, model_class, arguments, seed)
    if dtype == "bf16":
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(p.bfloat16().float())
    tensors = {n: t.to(torch.bfloat16 if dtype == "bf16" else torch.float32).contiguous()
               for n, t in tensors_of(model).items()}
    if shards == 1:
        save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    else:
        names, where = sorted(tensors), {}
        for s in range(shards):
            file = f"model-{s + 1:05d}-of-{shards:05d}.safetensors"
            part = {n: tensors[n] for n in names[s::shards]}
            save_file(part, os.path.join(folder, file), metadata={"format": "pt"})
            where.update({n: file for n in part})
        total = sum(t.numel() * t.element_size() for t in tensors.values())
        with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as f:
            json.dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}, f, indent=1)
            f.write("\n")
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config_json(model, dtype), f, indent=2)
        f.write("\n")
    rows = {n: rows_of(tensors[n].float().numpy()) for n in tensors
            if n in ("model.embed_tokens.weight", "model.layers.1.self_attn.k_proj.weight",
                     "model.layers.1.mlp.down_proj.weight", "model.norm.weight")}
    write_json(os.path.join(folder, "golden.json"),
               {**answer(model, config.vocab_size, seed + 1000), "rows": rows})
    # What was written must load unchanged and answer the same.
    again = model_class.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    golden = json.load(open(os.path.join(folder, "golden.json"), encoding="utf-8"))
    check = answer(again, config.vocab_size, seed + 1000)
    assert max(abs(a - b) for a, b in zip(golden["logprobs"], check["logprobs"])) < 1e-5, name


# ---------------------------------------------------------------------------------------------- GGUF

GGUF_NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
              "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
              "self_attn.k_norm": "attn_k_norm", "input_layernorm": "attn_norm",
              "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
              "mlp.down_proj": "ffn_down"}


def gguf_name(name):
    if name.startswith("model.layers."):
        _, _, layer, rest = name.split(".", 3)
        stem, kind = rest.rsplit(".", 1)
        return f"blk.{layer}.{GGUF_NAMES[stem]}.{kind}"
    return {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}[name]


def interleave(w, heads):
    """Rows of each head from halves (i, i + d/2) to pairs (2i, 2i + 1)."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(w.shape)


def deinterleave(w, heads):
    return w.reshape(heads, w.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(w.shape)


def small_vocab(size):
    """A byte-level vocabulary: two control tokens, the 256 bytes, and a few merges."""
    alphabet = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    shown = {b: chr(b) for b in alphabet}
    for n, b in enumerate(b for b in range(256) if b not in shown):
        shown[b] = chr(256 + n)
    tokens = ["<|start|>", "<|end|>"] + [shown[b] for b in range(256)]
    merges = []
    for a, b in [("t", "h"), ("th", "e"), ("i", "n"), ("\u0120", "the"), ("e", "r"), ("o", "n")]:
        merges.append(f"{a} {b}")
        tokens.append(a + b)
    while len(tokens) < size:
        tokens.append(f"<|unused{len(tokens)}|>")
    return tokens, [3, 3] + [1] * 262 + [5] * (size - 264), merges


def llama3_factors(theta, dim, factor, low, high, original):
    out = []
    for i in range(0, dim, 2):
        wavelength = 2 * math.pi * theta ** (i / dim)
        if wavelength < original / high:
            out.append(1.0)
        elif wavelength > original / low:
            out.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(out, dtype=np.float32)


Q = gguf.GGMLQuantizationType
GGUFS = {
    "llama-mixed": (LlamaConfig, LlamaForCausalLM, "llama", dict(
        vocab_size=266, hidden_size=32, intermediate_size=64, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, max_position_embeddings=128, rope_theta=10000.0, tie_word_embeddings=True,
        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=64)),
        [("embed", Q.Q8_0), ("0.self_attn", Q.Q4_1), ("0.mlp", Q.Q4_0), ("1.self_attn", Q.F16),
         ("1.mlp.gate", Q.BF16), ("", Q.Q8_0)]),
    "qwen2-q4": (Qwen2Config, Qwen2ForCausalLM, "qwen2", dict(
        vocab_size=266, hidden_size=32, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, rope_theta=1000000.0, tie_word_embeddings=True), [("", Q.Q4_1)]),
    "qwen3-f16": (Qwen3Config, Qwen3ForCausalLM, "qwen3", dict(
        vocab_size=266, hidden_size=32, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, max_position_embeddings=128, rope_theta=1000000.0, tie_word_embeddings=False),
        [("", Q.F16)]),
}


def write_metadata(writer, c, arch, rope):
    tokens, types, merges = small_vocab(c.vocab_size)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_head_count_kv(c.num_key_value_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_rope_freq_base(rope)
    if arch != "qwen2":
        writer.add_key_length(c.head_dim)
        writer.add_value_length(c.head_dim)
    if arch == "llama":
        writer.add_rope_dimension_count(c.head_dim)
        writer.add_vocab_size(c.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm" if arch == "llama" else "qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")


def make_gguf(root, name, row, seed):
    config_class, model_class, arch, arguments, types = row
    config, model = build(config_class, model_class, arguments, seed)
    path = os.path.join(root, name + ".gguf")
    writer = gguf.GGUFWriter(path, arch)
    write_metadata(writer, config, arch, arguments["rope_theta"])
    rows, state = {}, {}
    for n, t in tensors_of(model).items():
        w = t.numpy()
        heads = {"q_proj.weight": config.num_attention_heads, "k_proj.weight": config.num_key_value_heads}
        heads = heads.get(n.split("self_attn.")[-1], 0) if arch == "llama" else 0
        kind = Q.F32 if w.ndim == 1 else next(q for key, q in types if key in n)
        packed = gguf.quants.quantize(interleave(w, heads) if heads else w, kind)
        writer.add_tensor(gguf_name(n), packed, raw_dtype=kind)
        back = gguf.quants.dequantize(packed, kind).reshape(w.shape).astype(np.float32)
        back = deinterleave(back, heads) if heads else back
        state[n] = torch.from_numpy(back.copy())
        if n.startswith("model.layers.1.") and ("o_proj" in n or "up_proj" in n):
            continue  # the same types are shown by other tensors
        rows[n] = rows_of(back)
    scaling = arguments.get("rope_scaling")
    if scaling:
        writer.add_tensor("rope_freqs.weight", llama3_factors(
            arguments["rope_theta"], config.head_dim, scaling["factor"], scaling["low_freq_factor"],
            scaling["high_freq_factor"], scaling["original_max_position_embeddings"]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model.load_state_dict(state, strict=False)
    write_json(os.path.join(root, name + ".golden.json"),
               {**answer(model, config.vocab_size, seed + 1000), "rows": rows})


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    torch.set_num_threads(1)
    for seed, (name, row) in enumerate(MODELS.items()):
        make_folder(root, name, row, 17 + seed)
    for seed, (name, row) in enumerate(GGUFS.items()):
        make_gguf(root, name, row, 71 + seed)


if __name__ == "__main__":
    main()

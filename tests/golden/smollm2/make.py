#!/usr/bin/env python3
"""Makes golden.json: what SmolLM2-135M-Instruct (the Q4_1 file that `agrl pull smollm2-135m` installs) says about
the first 500 tokens of text.txt.

  {"model", "sha256", "tokens": [500 ids],
   "logprobs": [499], "logprobs_bf16": [499]}

logprobs[i] is the natural-log probability of tokens[i + 1] after tokens[0..i]. The weights are dequantised by the
gguf package and run by transformers in float32 with plain attention. For `logprobs_bf16` the embedding, the
weights and the input of every linear layer (the head too) are rounded to bfloat16; products accumulate in float32,
and the residual stream, norms, RoPE and attention stay in float32.

Usage: make.py PATH-OF-THE-GGUF     (needs torch, transformers, tokenizers, gguf; the tests read golden.json)
"""
import hashlib
import json
import os
import sys

import gguf
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = 500
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "attn_norm": "input_layernorm", "ffn_gate": "mlp.gate_proj",
         "ffn_norm": "post_attention_layernorm", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def field(reader, name):
    return reader.fields[name].contents()


def tokenize(reader, text):
    tokens = field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ")) for m in field(reader, "tokenizer.ggml.merges")]
    t = Tokenizer(models.BPE(vocab={s: i for i, s in enumerate(tokens)}, merges=merges))
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    ids = t.encode(text, add_special_tokens=False).ids
    assert t.decode(ids) == text
    return ids


def load(reader):
    def n(key):
        return field(reader, "llama." + key)
    heads, kv_heads, width = n("attention.head_count"), n("attention.head_count_kv"), n("embedding_length")
    config = LlamaConfig(
        vocab_size=n("vocab_size"), hidden_size=width, intermediate_size=n("feed_forward_length"),
        num_hidden_layers=n("block_count"), num_attention_heads=heads, num_key_value_heads=kv_heads,
        head_dim=width // heads, max_position_embeddings=n("context_length"), rope_theta=n("rope.freq_base"),
        rms_norm_eps=round(n("attention.layer_norm_rms_epsilon"), 10), tie_word_embeddings=True,
        attn_implementation="eager")
    state = {}
    for t in reader.tensors:
        w = torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).copy()).float()
        w = w.reshape([int(d) for d in reversed(t.shape)])
        parts = t.name.split(".")
        if parts[0] == "blk":
            name = f"model.layers.{parts[1]}.{NAMES[parts[2]]}.weight"
            if parts[2] in ("attn_q", "attn_k"):  # pairs (2i, 2i + 1) of each head back to halves (i, i + d/2)
                h = heads if parts[2] == "attn_q" else kv_heads
                w = w.reshape(h, w.shape[0] // h // 2, 2, -1).transpose(1, 2).reshape(w.shape)
        else:
            name = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}[parts[0]]
        state[name] = w
    model = LlamaForCausalLM(config).float().eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


def logprobs(model, tokens):
    with torch.no_grad():
        logp = torch.log_softmax(model(torch.tensor([tokens])).logits[0].double(), -1)
    return [round(logp[i, tokens[i + 1]].item(), 6) for i in range(len(tokens) - 1)]


def round_to_bf16(model):
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.bfloat16().float())
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(lambda m, inputs: (inputs[0].bfloat16().float(),))


def main():
    torch.set_num_threads(1)
    path = sys.argv[1]
    reader = gguf.GGUFReader(path)
    with open(os.path.join(HERE, "text.txt"), encoding="utf-8") as f:
        tokens = tokenize(reader, f.read())
    assert len(tokens) >= COUNT, len(tokens)
    tokens = tokens[:COUNT]
    model = load(reader)
    plain = logprobs(model, tokens)
    round_to_bf16(model)
    rounded = logprobs(model, tokens)
    with open(path, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    with open(os.path.join(HERE, "golden.json"), "w", encoding="utf-8") as f:
        json.dump({"model": "smollm2-135m", "sha256": digest, "tokens": tokens, "logprobs": plain,
                   "logprobs_bf16": rounded}, f, separators=(",", ":"))
        f.write("\n")
    n = len(plain)
    print(f"mean log-probability {sum(plain) / n:.6f}, bf16 {sum(rounded) / n:.6f}, "
          f"largest difference {max(abs(a - b) for a, b in zip(plain, rounded)):.4f}, "
          f"mean {sum(abs(a - b) for a, b in zip(plain, rounded)) / n:.5f}")


if __name__ == "__main__":
    main()

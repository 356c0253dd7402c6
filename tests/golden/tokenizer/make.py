#!/usr/bin/env python3
"""Makes the golden token ids beside this file with Hugging Face's tokenizers library.

  make.py --smollm2 smollm2-135m.gguf --vectors DIR

DIR is the folder that holds qwen2/ (vocab.json, merges.txt) and vectors/ (weightless GGUF vocabularies of gpt-2 and
starcoder). Needs the packages tokenizers and gguf. It writes mixed.txt, about 10 kB of everything that pre-tokenizers
treat differently, and NAME.ids with the ids of its lines, one line a line, then those of the whole file; special tokens count as such.

llama-bpe.ids are made with Llama 3's pattern and ignore_merges over Qwen2's vocabulary, because Llama's own cannot be had
without its licence; what is checked is the pattern and the look-up, not the vocabulary.

Characters come from Unicode 10 and older, so that libraries with other tables agree.
"""
import argparse
import json
import pathlib
import random

from gguf import GGUFReader
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

HERE = pathlib.Path(__file__).resolve().parent
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")

LINES = [
    "The shopper asked for red leather boots, size 42, not suede; nothing above 89.90 EUR.",
    "Crème brûlée, naïve façade, Ångström, Dvořák, Łódź, İstanbul, Straße, œuvre, Þórr.",
    "decomposed: Cre\u0300me bru\u0302le\u0301e, A\u030angstro\u0308m, q\u0323\u0307 and q\u0307\u0323",
    "我想买一双红色的皮靴,不要麂皮。尺码四十二,预算八十九欧元。",
    "赤い革のブーツを探しています。スエードはいりません。カタカナとひらがな、か\u3099き\u309a",
    "빨간 가죽 부츠를 찾고 있어요. \u1112\u1161\u11ab\u1100\u1173\u11af",
    "Красные кожаные сапоги, не замша, размер 42. Ёлка, подъезд.",
    "κόκκινες δερμάτινες μπότες, όχι σουέτ· Ὀδυσσεύς",
    "أحذية جلدية حمراء ٤٢ ليست من جلد الغزال \u202b(عكس)\u202c",
    "נעלי עור אדומות, לא זמש, מידה 42; שָׁלוֹם",
    "लाल चमड़े के जूते, साबर नहीं, नाप ४२; क्षत्रिय",
    "รองเท้าบูทหนังสีแดง ไม่เอาหนังกลับ ๔๒",
    "emoji: 👢 👢👢 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽 ❤️ ☕️ 1️⃣ ✅",
    "digits: 0 1 12 123 1234 12345 123456 3.14159 1e-5 0x1F 1,234,567.89 ½ ¾ ² ³ ① Ⅷ ٣ ४ 五 １２３ v2.0.1 42nd B2B mp3",
    "It's we're I'VE you'LL they'D 'S 'tis don't can'T rock'n'roll o'clock '\u017f 's's",
    "runs:" + " " * 2 + "two" + " " * 3 + "three" + " " * 8 + "eight" + " " * 33 + "many" + " " * 5,
    "tabs:\tone\t\ttwo\t \tmixed \t end\t",
    "spaces: a\u00a0b\u2003c\u3000d\u200be\u180ef\u0085g\u2028h\ufeffi\u00adj",
    "returns: a\r\r b\r",
    "   ", "\t", " x", "x ", "",
    "for (int i = 0; i < n; i++) { if (a[i] != 0x1f && b->next) return -1; }  // comment",
    "def f(x, *args, **kw):\treturn {k: v for k, v in kw.items() if k.startswith('_')}",
    "        self.__init__(\"quote \\\" and \\n escape\", path='C:\\\\temp')",
    "SELECT id, title FROM items WHERE price <= 49.90 AND colour IN ('navy', 'dark blue') -- note",
    "<div class=\"item\" data-id=42>&amp;&nbsp;</div> https://example.org/a/b?q=1&r=%20#top me@example.org",
    "!!! ??? ... ,,, --- *** /// ### $$$ %%% ^^^ ((( ))) [[[ ]]] {{{ }}} ~~~ ``` ||| \\\\\\ ___ +=+=+ <=> :-) ;-( °C € £ ¥",
    "{\"id\": \"q12-p7\", \"query\": \"red leather boots not suede\", \"price\": 49.9, \"gold\": null}",
    "4\\ncat=SAME\\nattr=colour:MATCH;material:CONFLICT\\nrule=R5",
    "a<|endoftext|>b <|im_start|>user<|im_end|> <|im_start|><|im_end|><|im_en d|> <|im_end|>",
    "control: \x01\x02\x03\x07\x08\x0b\x0c\x0e\x1b[31m\x7f\x80\x9f",
    "supercalifragilisticexpialidocious Donaudampfschifffahrtsgesellschaftskapitän aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
]
RANGES = [(0x20, 0x7e)] * 6 + [(0xa0, 0x17f)] * 2 + [(0x300, 0x345), (0x391, 0x3a1), (0x410, 0x44f), (0x5d0, 0x5ea),
          (0x660, 0x669), (0x915, 0x939), (0x2000, 0x206f), (0x2150, 0x2188), (0x3041, 0x3096), (0x4e00, 0x9fa5),
          (0xac00, 0xd7a3), (0x1f600, 0x1f64f), (0x1d400, 0x1d454), (0xf900, 0xfa0d), (0xe000, 0xe0ff)]


def mixed_lines():
    rnd = random.Random(20240711)
    lines = list(LINES)
    for _ in range(95):
        text = ""
        while len(text) < 40:
            lo, hi = rnd.choice(RANGES)
            text += "".join(chr(rnd.randint(lo, hi)) for _ in range(rnd.randint(1, 5)))
            text += rnd.choice(["", "", " ", "  ", "\t", "1", "'s"])
        lines.append(text)
    return lines


def from_gguf(path):
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    return {t: i for i, t in enumerate(tokens)}, merges, [t for t, k in zip(tokens, types) if k == 3]


def from_qwen2(folder):
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = [tuple(line.split(" ")) for line in (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
              if line and not line.startswith("#version")]
    added = json.loads((folder / "added_tokens.json").read_text(encoding="utf-8"))
    vocab.update(added)
    return vocab, merges, list(added)


def build(parts, pre, nfc=False, ignore_merges=False):
    vocab, merges, special = parts
    tok = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges))
    if nfc:
        tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.Sequence(pre)
    tok.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in special])
    return tok


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--smollm2", required=True)
    args.add_argument("--vectors", required=True, type=pathlib.Path)
    args = args.parse_args()
    byte_level = pre_tokenizers.ByteLevel
    digits = [pre_tokenizers.Digits(individual_digits=True), byte_level(add_prefix_space=False)]

    def cl100k(number):
        return [pre_tokenizers.Split(Regex(CL100K % number), "isolated"),
                byte_level(add_prefix_space=False, use_regex=False)]

    qwen2 = from_qwen2(args.vectors / "qwen2")
    toks = {
        "smollm2": build(from_gguf(args.smollm2), digits),
        "gpt-2": build(from_gguf(args.vectors / "vectors/ggml-vocab-gpt-2.gguf"), [byte_level(add_prefix_space=False)]),
        "starcoder": build(from_gguf(args.vectors / "vectors/ggml-vocab-starcoder.gguf"), digits),
        "qwen2": build(qwen2, cl100k(r"\p{N}"), nfc=True),
        "llama-bpe": build(qwen2, cl100k(r"\p{N}{1,3}"), ignore_merges=True),
    }
    lines = mixed_lines()
    assert not any("\n" in line or "\0" in line for line in lines)
    whole = "".join(line + "\n" for line in lines)
    (HERE / "mixed.txt").write_bytes(whole.encode())
    for name, tok in toks.items():
        with open(HERE / f"{name}.ids", "w", encoding="ascii") as f:
            for line in lines + [whole]:
                print(*tok.encode(line, add_special_tokens=False).ids, file=f)


if __name__ == "__main__":
    main()

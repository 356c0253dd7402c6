/* init_files.h: the files that `agrl init` writes, as they stand in the new folder. A test runs them: the rulebook
 * loads without a complaint, each pair's gold is what the rules derive, and the run trains.
 */
#ifndef AG_CLI_INIT_FILES_H
#define AG_CLI_INIT_FILES_H

/* One line of a file is one line here. */
/* clang-format off */

static const char init_rulebook[] =
    "# What \"relevant\" means in your shop. This file is the program: the prompt, the answer format, the check of every\n"
    "# answer, the training reward and the explanations all come from it. To change the business, change this file.\n"
    "#\n"
    "# Check it after every change:  agrl rules check rulebook.yaml\n"
    "rulebook: starter\n"
    "version: \"1.0\"\n"
    "language: en\n"
    "order: respond_then_think # the tier first, so that serving can stop after one token\n"
    "why: none # required: each answer also gives its reason in a sentence\n"
    "instruction: |\n"
    "  Judge how well the product answers the shopper's query. The rule that allows the lowest tier decides.\n"
    "\n"
    "# The grades, best first. gain is what NDCG counts; good says whether a shopper is served (Acc@2, GoodRate).\n"
    "tiers:\n"
    "  - {id: \"4\", name: Excellent, gain: 7, good: true}\n"
    "  - {id: \"3\", name: Related, gain: 3, good: true}\n"
    "  - {id: \"2\", name: Mismatch, gain: 1, good: false}\n"
    "  - {id: \"1\", name: Irrelevant, gain: 0, good: false}\n"
    "\n"
    "# What a judge looks at, verdicts best first. `per: asked` means once for each thing that the query asks for.\n"
    "# from and map say how the facts of a catalogue become verdicts, so that labels can be written without people.\n"
    "criteria:\n"
    "  - id: cat\n"
    "    name: category\n"
    "    verdicts: [SAME, SUBSTITUTE, COMPLEMENT, DIFFERENT]\n"
    "    weight: 0.2\n"
    "    from: category\n"
    "    map: {same: SAME, narrower: SAME, sibling: SUBSTITUTE, related: COMPLEMENT, else: DIFFERENT}\n"
    "  - id: attr\n"
    "    name: requested attribute\n"
    "    per: asked\n"
    "    verdicts: [MATCH, PARTIAL, UNKNOWN, CONFLICT]\n"
    "    weight: 0.2\n"
    "    from: attribute\n"
    "    map: {equal: MATCH, near: PARTIAL, missing: UNKNOWN, other: CONFLICT}\n"
    "\n"
    "facts: facts.yaml # how categories relate, and how queries ask\n"
    "\n"
    "# What a query may ask for, and in which fields of an item it is found. core: a shopper who does not get it is not\n"
    "# served; minor: a matter of taste.\n"
    "attributes:\n"
    "  default: {importance: minor, compare: text}\n"
    "  brand: {importance: core, compare: text, fields: [brand], weak_fields: [title]}\n"
    "  price: {importance: core, compare: number, near: 10%} # 5 % too dear is a near miss\n"
    "  size: {importance: core, compare: set}\n"
    "  fits: {importance: core, compare: set, fields: [fits, compatibility]}\n"
    "  material: {importance: core, compare: set, parents: {suede: leather, stainless steel: steel}}\n"
    "  colour: {importance: minor, compare: set, synonyms: [[navy, dark blue], [grey, gray]], parents: {navy: blue}}\n"
    "  volume: {importance: minor, compare: number, units: {ml: 0.001, l: 1}, near: 10%}\n"
    "\n"
    "# Each rule that holds caps the tier; the lowest cap wins, and among equal caps the first in this list decides.\n"
    "# The texts stand in every prompt: keep them short.\n"
    "rules:\n"
    "  - {id: R1, when: \"cat == DIFFERENT\", cap: \"1\", text: A product for a different need is Irrelevant.}\n"
    "  - {id: R2, when: \"any(attr, negated) == CONFLICT\", cap: \"2\", text: Having what the query excludes is a Mismatch.}\n"
    "  - {id: R3, when: \"any(attr, core+asserted) == CONFLICT\", cap: \"2\", text: Breaking a core request is a Mismatch.}\n"
    "  - {id: R4, when: \"cat == COMPLEMENT\", cap: \"2\", text: An accessory or spare part is a Mismatch.}\n"
    "  - {id: R5, when: \"cat == SUBSTITUTE\", cap: \"3\", text: Another kind of product for the same need is at most Related.}\n"
    "  - {id: R6, when: \"any(attr, core+asserted) in [UNKNOWN, PARTIAL]\", cap: \"3\", text: A core request met in part or not stated is at most Related.}\n"
    "  - {id: R7, when: \"any(attr, minor+asserted) == CONFLICT\", cap: \"3\", text: Breaking a minor request is at most Related.}\n"
    "  - {id: R0, when: otherwise, cap: \"4\", text: \"All requests met: Excellent.\"}\n"
    "\n"
    "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5} # for reinforcement learning; criteria carry their own weight\n";

static const char init_facts[] =
    "# What your trade and language know: how categories relate, and the words with which queries ask.\n"
    "facts: starter\n"
    "language: en\n"
    "text_fields: [title, description] # where a value may also be found, besides the attribute's own fields\n"
    "compatibility: fits # the attribute that \"for my ...\" asks for\n"
    "\n"
    "categories: # siblings serve the same need, related ones go with it, all others are different needs\n"
    "  boots: {siblings: [trainers], related: [shoe polish]}\n"
    "  trainers: {synonyms: [sneakers], related: [shoe polish]}\n"
    "  shoe polish: {synonyms: [shoe cream]}\n"
    "  kettles: {siblings: [teapots]}\n"
    "  teapots: {synonyms: [tea pots]}\n"
    "  phone cases: {synonyms: [phone covers, cases, case]}\n"
    "  backpacks: {synonyms: [rucksacks]}\n"
    "\n"
    "phrases:\n"
    "  not: [not, no, without, non, except, excluding]\n"
    "  not_after: [free] # \"leather free\"\n"
    "  at_most: [under, below, up to, at most, less than]\n"
    "  at_least: [over, above, at least, more than]\n"
    "  between: [between, from] # \"between 20 and 40\"\n"
    "  join: [and, to]\n"
    "  like: [alternative to, similar to, instead of, like]\n"
    "  cheaper: [but cheaper, cheaper]\n"
    "  fits: [for my, that fits, fits, compatible with, that works with]\n"
    "  question: [which, what, where, how, do you have, is there, are there]\n"
    "  currency: [eur, euro, euros, usd, dollars, gbp, pounds]\n"
    "  or: [or]\n"
    "  filler: [a, an, the, in, of, with, made, made of, for, and, any, some, to, that, i, me, my, need, want, please, \"on\", by]\n";

static const char init_run[] =
    "# A training run:  agrl train run.yaml        All settings with their bounds:  agrl train --settings\n"
    "#\n"
    "# As it stands it trains a tiny model from nothing on the ten pairs beside it. That takes about a minute and shows\n"
    "# every part at work; such a model knows these ten pairs by heart and nothing else. For a judge of your own shop, set\n"
    "# `model` and give it a few thousand pairs (agrl synth writes them from your catalogue and rulebook).\n"
    "model: \"\" # smollm2-135m for a real one (after: agrl pull smollm2-135m); empty: from scratch, as below\n"
    "scratch:\n"
    "  preset: nano # nano, micro, mini, small\n"
    "  vocab: 512 # of the tokenizer that is trained on the pairs\n"
    "\n"
    "rules: rulebook.yaml\n"
    "data:\n"
    "  train: pairs.jsonl\n"
    "  valid: pairs.jsonl # of queries that training never sees, once you have more than ten\n"
    "  aggregate: given # majority, median or soft: where several people rated each pair\n"
    "\n"
    "out: run # checkpoints, metrics.jsonl, TensorBoard events\n"
    "seed: 1\n"
    "\n"
    "stages:\n"
    "  - method: sft\n"
    "    epochs: 150 # 2 or 3 with thousands of pairs\n"
    "    batch: 10\n"
    "    lr: 6e-3 # 1e-4 for a pretrained model\n"
    "    valid_every: 75\n";

static const char init_pairs[] =
    "{\"id\": \"boots-1\", \"query\": \"red leather boots\", \"item\": {\"id\": \"p1\", \"title\": \"Harlow ankle boots, burgundy red leather\", \"brand\": \"Harlow\", \"category\": \"boots\", \"price\": 89.0, \"attributes\": {\"colour\": \"red\", \"material\": \"leather\"}}, \"asked\": [{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}, {\"name\": \"material\", \"op\": \"is\", \"value\": \"leather\"}], \"gold\": {\"tier\": \"4\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"colour\": \"MATCH\", \"material\": \"MATCH\"}}, \"rule\": \"R0\"}}\n"
    "{\"id\": \"boots-2\", \"query\": \"red leather boots\", \"item\": {\"id\": \"p2\", \"title\": \"Harlow ankle boots, black leather\", \"brand\": \"Harlow\", \"category\": \"boots\", \"price\": 89.0, \"attributes\": {\"colour\": \"black\", \"material\": \"leather\"}}, \"asked\": [{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}, {\"name\": \"material\", \"op\": \"is\", \"value\": \"leather\"}], \"gold\": {\"tier\": \"3\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"colour\": \"CONFLICT\", \"material\": \"MATCH\"}}, \"rule\": \"R7\"}}\n"
    "{\"id\": \"boots-3\", \"query\": \"red leather boots\", \"item\": {\"id\": \"p3\", \"title\": \"Norrsken boots in red canvas\", \"brand\": \"Norrsken\", \"category\": \"boots\", \"price\": 59.5, \"attributes\": {\"colour\": \"red\", \"material\": \"canvas\"}}, \"asked\": [{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}, {\"name\": \"material\", \"op\": \"is\", \"value\": \"leather\"}], \"gold\": {\"tier\": \"2\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"colour\": \"MATCH\", \"material\": \"CONFLICT\"}}, \"rule\": \"R3\"}}\n"
    "{\"id\": \"boots-4\", \"query\": \"boots without suede\", \"type\": \"negation\", \"item\": {\"id\": \"p4\", \"title\": \"Tarn desert boots, sand suede\", \"brand\": \"Tarn\", \"category\": \"boots\", \"price\": 74.9, \"attributes\": {\"colour\": \"sand\", \"material\": \"suede\"}}, \"asked\": [{\"name\": \"material\", \"op\": \"not\", \"value\": \"suede\"}], \"gold\": {\"tier\": \"2\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"material\": \"CONFLICT\"}}, \"rule\": \"R2\"}}\n"
    "{\"id\": \"boots-5\", \"query\": \"boots without suede\", \"type\": \"negation\", \"item\": {\"id\": \"p5\", \"title\": \"Norrsken trainers, white mesh\", \"brand\": \"Norrsken\", \"category\": \"trainers\", \"price\": 64.0, \"attributes\": {\"colour\": \"white\", \"material\": \"mesh\"}}, \"asked\": [{\"name\": \"material\", \"op\": \"not\", \"value\": \"suede\"}], \"gold\": {\"tier\": \"3\", \"verdicts\": {\"cat\": \"SUBSTITUTE\", \"attr\": {\"material\": \"MATCH\"}}, \"rule\": \"R5\"}}\n"
    "{\"id\": \"boots-6\", \"query\": \"red leather boots\", \"item\": {\"id\": \"p6\", \"title\": \"Tarn shoe polish, colourless, 75 ml\", \"brand\": \"Tarn\", \"category\": \"shoe polish\", \"price\": 6.5, \"attributes\": {\"volume\": \"75 ml\"}}, \"asked\": [{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}, {\"name\": \"material\", \"op\": \"is\", \"value\": \"leather\"}], \"gold\": {\"tier\": \"2\", \"verdicts\": {\"cat\": \"COMPLEMENT\", \"attr\": {\"colour\": \"UNKNOWN\", \"material\": \"UNKNOWN\"}}, \"rule\": \"R4\"}}\n"
    "{\"id\": \"kettle-1\", \"query\": \"kettle under 40 euro\", \"item\": {\"id\": \"p7\", \"title\": \"Brightwell electric kettle 1.7 l, stainless steel\", \"brand\": \"Brightwell\", \"category\": \"kettles\", \"price\": 34.99, \"description\": \"Boils a litre in three minutes and switches itself off.\", \"attributes\": {\"volume\": \"1.7 l\", \"material\": \"stainless steel\"}}, \"asked\": [{\"name\": \"price\", \"op\": \"at_most\", \"value\": 40}], \"gold\": {\"tier\": \"4\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"price\": \"MATCH\"}}, \"rule\": \"R0\"}}\n"
    "{\"id\": \"kettle-2\", \"query\": \"kettle under 40 euro\", \"item\": {\"id\": \"p8\", \"title\": \"Brightwell Studio kettle 1 l, matt black\", \"brand\": \"Brightwell\", \"category\": \"kettles\", \"price\": 42.5, \"attributes\": {\"volume\": \"1 l\", \"colour\": \"black\"}}, \"asked\": [{\"name\": \"price\", \"op\": \"at_most\", \"value\": 40}], \"gold\": {\"tier\": \"3\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"price\": \"PARTIAL\"}}, \"rule\": \"R6\"}}\n"
    "{\"id\": \"case-1\", \"query\": \"case for my Zelo 5\", \"item\": {\"id\": \"p9\", \"title\": \"Clear phone case\", \"brand\": \"Fenn\", \"category\": \"phone cases\", \"price\": 12.0, \"description\": \"Soft and thin, with raised edges around the camera.\", \"attributes\": {\"colour\": \"clear\"}}, \"asked\": [{\"name\": \"fits\", \"op\": \"is\", \"value\": \"Zelo 5\"}], \"gold\": {\"tier\": \"3\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"fits\": \"UNKNOWN\"}}, \"rule\": \"R6\"}}\n"
    "{\"id\": \"case-2\", \"query\": \"case for my Zelo 5\", \"item\": {\"id\": \"p10\", \"title\": \"Loma backpack 22 l, grey\", \"brand\": \"Loma\", \"category\": \"backpacks\", \"price\": 49.0, \"attributes\": {\"volume\": \"22 l\", \"colour\": \"grey\"}}, \"asked\": [{\"name\": \"fits\", \"op\": \"is\", \"value\": \"Zelo 5\"}], \"gold\": {\"tier\": \"1\", \"verdicts\": {\"cat\": \"DIFFERENT\", \"attr\": {\"fits\": \"UNKNOWN\"}}, \"rule\": \"R1\"}}\n";

static const char init_readme[] =
    "A starter for agrl: a judge of how well a product answers a shopper's query.\n"
    "\n"
    "  rulebook.yaml   what \"relevant\" means; everything else follows from it\n"
    "  facts.yaml      how categories relate, and the words with which queries ask\n"
    "  pairs.jsonl     ten pairs of a query and a product, with the right answer\n"
    "  run.yaml        a training run\n"
    "\n"
    "Try it here, in this folder:\n"
    "\n"
    "  agrl rules check rulebook.yaml                 looks for mistakes in the rules\n"
    "  agrl train run.yaml                            about a minute; a tiny model that learns the ten pairs\n"
    "  agrl eval --model run --rules rulebook.yaml --data pairs.jsonl\n"
    "                                                 how good it is\n"
    "  agrl judge --model run --rules rulebook.yaml --explain pairs.jsonl\n"
    "                                                 each verdict with its reasons\n"
    "\n"
    "Then make it yours:\n"
    "\n"
    "  1. Change the texts and caps of rulebook.yaml until they say what your business means. Nothing else has to change.\n"
    "  2. Put your categories into facts.yaml, and the fields of your catalogue under `attributes` in the rulebook.\n"
    "  3. Labels. With ratings by people: agrl import, or write lines like those of pairs.jsonl; a pair needs only \"query\",\n"
    "     \"item\" with a \"title\", and \"gold\" with a \"tier\". Without: agrl synth writes labelled pairs from catalogue and rules.\n"
    "  4. A real model: agrl pull smollm2-135m, then `model: smollm2-135m` and `lr: 1e-4` in run.yaml.\n"
    "\n"
    "agrl doctor says what this machine has; agrl help lists all commands.\n";

static const struct {
    const char *name, *text;
} init_files[] = {
    {"rulebook.yaml", init_rulebook},
    {"facts.yaml", init_facts},
    {"run.yaml", init_run},
    {"pairs.jsonl", init_pairs},
    {"README.txt", init_readme},
};
/* clang-format on */

#endif

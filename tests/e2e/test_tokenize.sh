#!/bin/sh
# test_tokenize.sh: tokenize over the small tokenizers and models of the tests.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
TOK=$SRC/tests/fuzz/corpus/tokenizer/gpt2.json
GGUF=$SRC/tests/golden/models/llama-mixed.gguf

t "there and back"
printf 'red shoes\n\n  caf\303\251 42\n' > text
run 0 "$AGRL" tokenize --tokenizer "$TOK" text
cp out ids
is "$(wc -l < ids)" 3
run 0 "$AGRL" tokenize --tokenizer "$TOK" --decode ids
cmp -s out text || wrong "decode gives $(cat out)"

t "pipes and JSON"
run 0 "$AGRL" tokenize --tokenizer "$TOK" --json < text
prints '^{"tokens":\[[0-9,]*\]}$'
run 0 "$AGRL" tokenize --tokenizer "$TOK" --json - < text
cp out ids.jsonl
run 0 "$AGRL" tokenize --tokenizer "$TOK" --json --decode < ids.jsonl
prints '{"text":"red shoes"}'
echo '{"text": "red shoes"}' > line
run 0 "$AGRL" tokenize --tokenizer "$TOK" line
is "$(cat out)" "$(head -n 1 ids)"

t "a model's own tokenizer"
run 0 "$AGRL" tokenize --model "$GGUF" --json < text
prints '^{"tokens":'

t "bad input"
run 2 "$AGRL" tokenize < text
says -- '--model'
run 1 "$AGRL" tokenize --tokenizer missing.json < text
says missing.json
head -c 2000 "$TOK" > cut.json
run 1 "$AGRL" tokenize --tokenizer cut.json < text
silent
says cut.json
head -c 5000 "$GGUF" > cut.gguf
run 1 "$AGRL" tokenize --model cut.gguf < text
silent
says cut.gguf
run 1 "$AGRL" tokenize --model no-such-model < text
says no-such-model
run 1 "$AGRL" tokenize --model smollm2-135m < text
says 'agrl pull smollm2-135m'
echo "1 999999" > wrong-ids
run 1 "$AGRL" tokenize --tokenizer "$TOK" --decode wrong-ids
says 'wrong-ids:1'
echo "1 two" > wrong-ids
run 1 "$AGRL" tokenize --tokenizer "$TOK" --decode wrong-ids
says 'wrong-ids:1'

t "a full standard output"
if [ -c /dev/full ]; then
    "$AGRL" tokenize --tokenizer "$TOK" < text > /dev/full 2> err
    is $? 1
    says "standard output"
fi

finish

#!/bin/sh
# test_serve.sh: `agrl serve` by curl, with a model of six steps: every status, answers against `agrl judge`, a stop under load,
# clients that mean no good (serve_abuse.py, where there is python3), another reader of requests (serve_h11.py, where there is h11), the page (serve_page.py, where there is a browser).
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
command -v curl > /dev/null || {
    echo "skipped: no curl"
    exit 77
}
PYTHON=${PYTHON:-python3}
BOOK=$SRC/rules/shop.yaml
small_judge 900 300 "steps: 6, batch: 4, lr: 1.0e-3"
printf '0123456789abcdef0123\n' > token
pids=
trap 'for p in $pids; do kill -9 "$p" 2> /dev/null; done; rm -rf "$T"' EXIT

# LOG OPTION...: starts a server on a free port; pid and url are its.
serve() {
    log=$1
    shift
    : > "$log"
    "$AGRL" serve --model run --rules "$BOOK" --threads 1 --listen 127.0.0.1:0 "$@" > "$log.out" 2> "$log" &
    pid=$!
    pids="$pids $pid"
    url= i=0
    while [ -z "$url" ] && [ $i -lt 200 ] && kill -0 $pid 2> /dev/null; do
        url=$(sed -n 's/^listening on //p' "$log")
        i=$((i + 1))
        [ -n "$url" ] || sleep 0.05
    done
    [ -n "$url" ] || wrong "does not listen: $(cat "$log")"
    i=0
    while ! grep -q '^ready' "$log" && [ $i -lt 600 ] && kill -0 $pid 2> /dev/null; do
        i=$((i + 1))
        sleep 0.05
    done
}

stop() { # CODE: ends it and wants this exit code
    kill -TERM "$pid"
    wait "$pid"
    code=$?
    [ $code -eq "$1" ] || wrong "exit $code after SIGTERM: $(tail -n 3 "$log")"
}

# STATUS PATH CURL-OPTION...: the answer is in out, its head in head.
want() {
    expected=$1 path=$2
    shift 2
    got=$(curl -s -m 30 -o out -D head -w '%{http_code}' "$@" "$url$path")
    [ "$got" = "$expected" ] || wrong "$got in place of $expected for $path: $(head -c 300 out)"
}
post() { # STATUS PATH BODY
    want "$1" "$2" -H 'Content-Type: application/json' --data-binary "$3"
}
error() { # PARAM: the error in out names it
    grep -q "^{\"error\":{\"message\":\".*\",\"type\":\"[a-z_]*\",\"param\":$1,\"code\":" out || wrong "not at $1: $(head -c 300 out)"
}
head_has() { tr -d '\r' < head | grep -qi "^$1" || wrong "no header '$1'"; }

PAIR='{"query": "red boots", "item": {"title": "Boots", "attributes": {"colour": "red"}}}'
MESSAGE='[{"role": "user", "content": "Query: red boots\nProduct: Boots of red leather"}]'

t "wrong usage"
run 2 "$AGRL" serve --rules "$BOOK"
says 'model is missing'
run 2 "$AGRL" serve --model run
says 'rules is missing'
run 2 "$AGRL" serve --model run --rules "$BOOK" --listen 0.0.0.0:0
says 'without a token'
run 2 "$AGRL" serve --model run --rules "$BOOK" --listen nowhere
says 'no address'
run 2 "$AGRL" serve --model run --rules "$BOOK" --max-pairs 10 --queue-pairs 5
says 'more than the queue'
echo short > short
run 1 "$AGRL" serve --model run --rules "$BOOK" --token-file short
says 'a token is one line'
run 1 "$AGRL" serve --model nowhere/at/all --rules "$BOOK" --listen 127.0.0.1:0
grep -q '^agrl: ' err || wrong "$(cat err)"

serve log --catalogue data/catalogue.jsonl --max-pairs 200 --queue-pairs 400 --body-mb 1 --name judge-1
t "what it says about itself"
want 200 /health
is "$(cat out)" '{"status":"ok"}'
head_has "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'"
head_has 'X-Content-Type-Options: nosniff'
want 200 /v1/models
prints '"id":"judge-1","object":"model"'
want 200 /v1/models/judge-1
want 404 /v1/models/other
error '"model"'
want 200 /v1/rulebook
prints '"name":"shop"'
want 200 '/v1/catalogue?query=boots&top=3'
is "$(grep -o '"title"' out | wc -l)" 3
want 400 '/v1/catalogue'
want 400 '/v1/catalogue?query=boots&top=0'
want 400 '/v1/catalogue?query=%FF'
want 200 /openapi.json
for path in / /page.css /page.js /table.js; do want 200 $path; done
grep -q 'style=\|onclick=\|<script>' "$SRC/src/serve/page/index.html" && wrong "inline code or style on the page"

t "judging is what agrl judge says"
head -n 100 data/test.jsonl > pairs.jsonl
sed 's/"asked_source": *"parsed",* *//' pairs.jsonl > plain.jsonl
run 0 "$AGRL" judge --model run --rules "$BOOK" --threads 1 --json --explain plain.jsonl
cp out judged
{ printf '{"pairs": ['; paste -sd, plain.jsonl; printf ']}'; } > body
want 200 /v1/judge -H 'Content-Type: application/json' --data-binary @body
cp out all
is "$(grep -o '"tier_name":' all | wc -l)" "$(wc -l < plain.jsonl)"
if command -v "$PYTHON" > /dev/null; then
    "$PYTHON" - > compared << 'PY'
import json
served = json.load(open("all"))["results"]
judged = [json.loads(line) for line in open("judged")]
assert [s["id"] for s in served] == [j["id"] for j in judged]
for s, j in zip(served, judged):
    assert s["tier"] == j["tier"] and s["verdicts"] == j["verdicts"] and s["rule"] == j["rule"], (s, j)
    assert s["consistent"] == j["gate"] and s["derived"] == j["derived"], (s, j)
    assert all(abs(s["probabilities"][t] - p) < 1e-5 for t, p in j["probabilities"].items()), (s, j)
    assert abs(s["gain"] - j["gain"]) < 1e-4 and s["asked_source"] == j["asked_source"], (s, j)
print("same")
PY
    is "$(cat compared)" same
fi
want 200 /v1/judge -H 'Content-Type: application/json' --data-binary @body
cmp -s out all || wrong "the same request again gives other bytes"
post 200 /v1/judge "{\"explain\": false, \"pairs\": [$PAIR]}"
grep -q verdicts out && wrong "explain: false goes on behind the tier"
prints '"probabilities":{"4":'
post 200 /v1/judge '{"pairs": [{"query": "tea", "item": "Green tea"}]}'
prints '"asked_source":"parsed","asked":\[\],"verdicts":'

t "rerank"
post 200 /v1/rerank '{"model": "judge-1", "query": "red boots", "documents": ["Red boots", {"title": "Blue boots"}, {"text": "Tea"}], "top_n": 2, "return_documents": true}'
is "$(grep -o '"relevance_score":' out | wc -l)" 2
prints '"document":{"'
post 200 /v2/rerank '{"query": "red boots", "documents": ["a", "b", "c"]}'
is "$(grep -o '"index":[0-2],"relevance_score":[0-9.e-]*' out | sort -t: -k2 | wc -l)" 3
grep -q '"document":' out && wrong "documents are given back unasked"
post 400 /v1/rerank '{"query": "a", "documents": [1]}'
error '"documents\[0\]"'
post 400 /v1/rerank '{"query": "a", "documents": ["x"], "top_n": 0}'
error '"top_n"'
post 400 /v1/rerank '{"query": "a", "documents": ["x"], "rank_fields": ["title"]}'
error '"rank_fields"'

t "chat completions"
post 200 /v1/chat/completions "{\"model\": \"judge-1\", \"messages\": $MESSAGE, \"stream\": false, \"n\": 1, \"tools\": []}"
prints '"role":"assistant","content":"[1-4]\\ncat='
prints '"finish_reason":"stop"'
cp out first
post 200 /v1/chat/completions "{\"messages\": $MESSAGE, \"temperature\": 0, \"seed\": 5}"
is "$(sed 's/.*"choices"//' out)" "$(sed 's/.*"choices"//' first)"
post 200 /v1/chat/completions "{\"messages\": $MESSAGE, \"temperature\": 1, \"seed\": 5}"
sed 's/.*"choices"//' out > drawn
post 200 /v1/chat/completions "{\"messages\": $MESSAGE, \"temperature\": 1, \"seed\": 5}"
is "$(sed 's/.*"choices"//' out)" "$(cat drawn)"
post 200 /v1/chat/completions "{\"messages\": $MESSAGE, \"max_tokens\": 2}"
prints '"finish_reason":"length"'
prints '"completion_tokens":2'
post 200 /v1/chat/completions "{\"messages\": $MESSAGE, \"response_format\": {\"type\": \"json_object\"}}"
prints '"content":"{\\"tier\\":\\"[1-4]\\",\\"tier_name\\"'
SCHEMA='{"type": "object", "properties": {"consistent": {"type": "boolean"}, "tier": {"enum": ["1", "2", "3", "4"]}}, "required": ["tier"], "additionalProperties": false}'
post 200 /v1/chat/completions "{\"messages\": $MESSAGE, \"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\", \"strict\": true, \"schema\": $SCHEMA}}}"
prints '"content":"{\\"tier\\":\\"[1-4]\\",\\"consistent\\":\(true\|false\)}"'
chat_error() { # PARAM MEMBERS
    post 400 /v1/chat/completions "{\"messages\": $MESSAGE, $2}"
    error "\"$1\""
}
chat_error stream '"stream": true'
chat_error n '"n": 2'
chat_error tools '"tools": [{"type": "function"}]'
chat_error logprobs '"logprobs": true'
chat_error stop '"stop": ["x"]'
chat_error presence_penalty '"presence_penalty": 0.5'
chat_error logit_bias '"logit_bias": {"1": 2}'
chat_error user '"user": "me"'
chat_error temperature '"temperature": 3'
chat_error temperature '"temperature": "hot"'
chat_error max_tokens '"max_tokens": 0'
chat_error max_tokens '"max_tokens": 5, "max_completion_tokens": 5'
chat_error response_format.type '"response_format": {"type": "xml"}'
chat_error response_format.json_schema.schema.properties.colour '"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {"colour": {}}}}}'
chat_error response_format.json_schema.schema.properties.tier '"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {"tier": {"enum": ["1"]}}}}}'
chat_error response_format.json_schema.schema.properties.why '"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {"why": {"type": "string"}}}}}'
USER='{"role": "user", "content": "Query: red boots\nProduct: Boots of red leather"}'
post 400 /v1/chat/completions "{\"messages\": [{\"role\": \"system\", \"content\": \"Be kind.\"}, $USER]}"
error '"messages\[0\].content"'
post 400 /v1/chat/completions "{\"messages\": [$USER, $USER]}"
error '"messages"'
post 400 /v1/chat/completions '{"messages": [{"role": "assistant", "content": "x"}]}'
error '"messages\[0\].role"'
want 200 /v1/rulebook
SYSTEM=$(sed 's/.*"system":\("[^"\\]*\(\\.[^"\\]*\)*"\).*/\1/' out)
for role in system developer; do
    post 200 /v1/chat/completions "{\"messages\": [{\"role\": \"$role\", \"content\": $SYSTEM}, $USER]}"
    is "$(sed 's/.*"choices"//' out)" "$(sed 's/.*"choices"//' first)"
done
post 400 /v1/chat/completions "{\"messages\": [{\"role\": \"system\", \"content\": $SYSTEM}]}"
error '"messages"'
post 400 /v1/chat/completions "{\"messages\": [{\"role\": \"system\", \"content\": $SYSTEM}, {\"role\": \"user\", \"content\": \"hello\"}]}"
error '"messages\[1\].content"'
post 400 /v1/chat/completions '{"messages": [{"role": "user", "content": "hello"}]}'
error '"messages\[0\].content"'
post 404 /v1/chat/completions "{\"model\": \"gpt-4\", \"messages\": $MESSAGE}"
error '"model"'

t "statuses"
want 404 /nothing
want 404 /v1/../../../etc/passwd --path-as-is
want 404 /%2e%2e/%2e%2e/etc/passwd --path-as-is
want 405 /v1/judge
head_has 'Allow: POST'
want 405 /health -X DELETE
want 415 /v1/judge -d '{}'
post 400 /v1/judge ''
post 400 /v1/judge '{'
error null
post 400 /v1/judge '[]'
printf '{"pairs": [{"query": "\377", "item": "x"}]}' > bad
want 400 /v1/judge -H 'Content-Type: application/json' --data-binary @bad
prints invalid_utf8
post 400 /v1/judge '{"pairs": []}'
error '"pairs"'
post 400 /v1/judge "{\"pairs\": [$PAIR, {\"query\": \"a\", \"item\": {\"title\": \"x\", \"price\": \"much\"}}]}"
error '"pairs\[1\].item.price"'
post 400 /v1/judge "{\"pairs\": [$PAIR], \"explian\": true}"
prints "is 'explain' meant"
post 400 /v1/judge "{\"pairs\": [$PAIR], \"explain\": 1}"
error '"explain"'
awk 'BEGIN { printf "{\"pairs\": ["; for (i = 0; i < 201; i++) printf "%s{\"query\": \"a\", \"item\": \"x\"}", i ? "," : ""; print "]}" }' > bad
want 413 /v1/judge -H 'Content-Type: application/json' --data-binary @bad
head -c 1200000 /dev/zero | tr '\0' ' ' > bad
want 413 /v1/judge -H 'Content-Type: application/json' --data-binary @bad
want 421 /health -H 'Host: shop.example'
want 200 /health -H 'X-Request-Id: mine-1'
head_has 'X-Request-Id: mine-1'

t "metrics and log"
want 200 /metrics
prints '^agrl_http_requests_total{route="/v1/judge",status="200"} '
prints '^agrl_pairs_judged_total [1-9]'
prints '^agrl_tokens_shared_total [1-9]'
prints '^agrl_queue_pairs 0$'
prints '^agrl_http_request_seconds_bucket{route="/v1/judge",le="+Inf"} '
want 404 /nothing -H 'X-Request-Id: mine-2'
sleep 0.2
grep -q '^{"time":"[0-9T:.-]*Z","id":"mine-2","peer":"127.0.0.1","method":"GET","path":"/nothing","status":404,' log || wrong "$(tail -n 1 log)"
stop 0

t "a full queue is 429, a time limit 504"
serve log2 --queue-pairs 200 --max-pairs 200 --request-seconds 60 --no-log
awk 'BEGIN { printf "{\"pairs\": ["; for (i = 0; i < 180; i++) printf "%s{\"query\": \"red leather boots %d\", \"item\": \"Boots %d of red leather for men\"}", i ? "," : "", i, i; print "]}" }' > many
clients=
for i in 1 2 3 4 5 6; do
    curl -s -m 60 -o "many.$i" -D "head.$i" -w '%{http_code}\n' -H 'Content-Type: application/json' --data-binary @many "$url/v1/judge" > "status.$i" &
    clients="$clients $!"
done
for c in $clients; do wait "$c"; done
is "$(cat status.* | grep -c '^200$')" "$(cat status.* | grep -vc '^429$')"
grep -q '^429$' status.* || wrong "no 429 among $(cat status.* | tr '\n' ' ')"
grep -q '^200$' status.* || wrong "no 200"
grep -qi '^Retry-After: [1-9]' head.* || wrong "no Retry-After"
stop 0
serve log2 --request-seconds 0.1 --no-log
want 504 /v1/judge -H 'Content-Type: application/json' --data-binary @many
prints time_limit
want 200 /health
stop 0

t "the model's calibration, a decision, and the cache that judge uses"
run 0 "$AGRL" train run.yaml --set out=calibrated --set stages.0.steps=150 --set stages.0.batch=12 --set stages.0.optimizer=muon --set stages.0.lr=1e-2
head -n 200 data/sft.jsonl > dev.jsonl
run 0 "$AGRL" calibrate --model calibrated --rules "$BOOK" --data dev.jsonl --temperature-only
head -n 20 plain.jsonl > few.jsonl
run 0 "$AGRL" judge --model calibrated --rules "$BOOK" --threads 1 --json --explain --decide gain few.jsonl
cp out judged
{ printf '{"pairs": ['; paste -sd, few.jsonl; printf ']}'; } > body
serve log6 --model calibrated --decide gain --cache seen.db --no-log
want 200 /v1/judge -H 'Content-Type: application/json' --data-binary @body
cp out all
tiers() { grep -o '"tier":"[^"]*"' "$1"; }
[ "$(tiers all)" = "$(tiers judged)" ] || wrong "other tiers than judge says"
first() { grep -o '"probabilities":{"4":[0-9.]\{6\}' "$1"; }
[ "$(first all)" = "$(first judged)" ] || wrong "other probabilities than judge says"
want 200 /v1/judge -H 'Content-Type: application/json' --data-binary @body
cmp -s out all || wrong "from the cache: other bytes"
stop 0
run 0 "$AGRL" judge --model calibrated --rules "$BOOK" --threads 1 --json --explain --decide gain --cache seen.db few.jsonl
grep -q '^20 of 20 judgements came from seen.db' err || wrong "judge does not find what was served: $(cat err)"
run 2 "$AGRL" serve --model run --rules "$BOOK" --cache-mb 5
says 'needs --cache'
run 2 "$AGRL" serve --model run --rules "$BOOK" --threshold 0.5
says 'threshold'

t "a token"
serve log3 --token-file token --no-log --listen 127.0.0.1:0
want 200 /health
want 200 /
want 401 /v1/models
head_has 'WWW-Authenticate: Bearer'
prints authentication_error
want 401 /metrics
want 401 /v1/models -H 'Authorization: Bearer 0123456789abcdef0124'
want 200 /v1/models -H 'Authorization: Bearer 0123456789abcdef0123'
want 404 '/v1/catalogue?query=a' -H 'Authorization: Bearer 0123456789abcdef0123'
prints no_catalogue
stop 0

if "$PYTHON" -c 'import json, socket' 2> /dev/null; then
    t "garbage, floods, half-open connections, slow readers, killed clients"
    serve log4 --no-log --read-seconds 2 --idle-seconds 2 --write-seconds 2 --connections 64
    "$PYTHON" "$SRC/tests/e2e/serve_abuse.py" abuse "$url" "$pid" > abuse.txt 2>&1 || wrong "$(tail -n 5 abuse.txt)"
    sed 's/^/  /' abuse.txt
    want 200 /health
    stop 0
    t "SIGTERM under load loses no accepted request"
    serve log5 --no-log
    "$PYTHON" "$SRC/tests/e2e/serve_abuse.py" drain "$url" "$pid" > drain.txt 2>&1 || wrong "$(tail -n 5 drain.txt)"
    sed 's/^/  /' drain.txt
    wait "$pid"
    is $? 0
else
    echo "left out: no python3 for abuse and drain"
fi

if "$PYTHON" -c 'import h11' 2> /dev/null; then
    t "requests are what h11 takes for them"
    serve log9 --no-log
    "$PYTHON" "$SRC/tests/e2e/serve_h11.py" "$url" > h11.txt 2>&1 || wrong "$(tail -n 5 h11.txt)"
    sed 's/^/  /' h11.txt
    stop 0
else
    echo "left out: no Python package h11 (pip install h11)"
fi

if "$PYTHON" -c 'import openai' 2> /dev/null; then
    t "the openai client"
    serve log6 --token-file token --no-log
    "$PYTHON" "$SRC/tests/e2e/serve_openai.py" "$url" > openai.txt 2>&1 || wrong "$(tail -n 5 openai.txt)"
    stop 0
else
    echo "left out: no Python package openai (pip install openai)"
fi

if "$PYTHON" -c 'import veritail, openai' 2> /dev/null; then
    t "veritail"
    serve log8 --token-file token --no-log
    "$PYTHON" "$SRC/tests/e2e/serve_veritail.py" "$url" data/catalogue.jsonl > veritail.txt 2>&1 || wrong "$(tail -n 5 veritail.txt)"
    stop 0
else
    echo "left out: no Python package veritail (pip install veritail openai)"
fi

if command -v chromedriver > /dev/null && "$PYTHON" -c 'import json' 2> /dev/null; then
    t "the page in a browser"
    serve log7 --no-log --catalogue data/catalogue.jsonl
    timeout 120 "$PYTHON" "$SRC/tests/e2e/serve_page.py" "$url" > page.txt 2>&1 || wrong "$(tail -n 5 page.txt)"
    stop 0
else
    echo "left out: no chromedriver (apt-get install chromium-driver)"
fi
finish

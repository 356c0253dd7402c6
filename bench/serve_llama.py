"""`agrl serve` beside llama.cpp's llama-server: pairs judged a second through HTTP, tier only, the same GGUF and the same prompt tokens.

Usage: serve_llama.py --agrl BIN --bench BUILD/bench_prompts --llama BIN/llama-server --model FILE.gguf --rules BOOK
                      --catalogue FILE.jsonl [--engine BUILD/bench_engine] [--others FILE.gguf,...]
                      [--queries 4] [--items 50] [--threads N] [--rounds 2] [--slots 1,4]

One server at a time, in turns, on this machine. agrl gets a request a query (POST /v1/judge, explain false), from two clients. llama-server
gets a request a pair (POST /completion, the prompt's token ids, one token, prompt cache on), in the order of the queries, from as many
clients as it has slots; each number of slots in --slots is a server of its own, and the best one counts. Before it is timed a server
judges pairs of another query. Prints pairs a second of each round, by the clock and by the server's processor time
(which other work on the machine disturbs less), and the ratios of the best of both. --others: the same weights in other
types (llama-quantize makes them), for llama-server alone. --engine: the rate of oneDNN's products in the same run, and agrl's share of it
over the tokens that it computed (2 operations a weight of the layers and token, the head once a pair, attention not counted; SmolLM2-135M's shape).
Fails when agrl's and llama's likeliest tiers agree on less than half of the pairs: then they do not do the same work.
"""
import argparse
import collections
import http.client
import json
import os
import random
import re
import subprocess
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
for name in ("agrl", "bench", "llama", "model", "rules", "catalogue"):
    parser.add_argument("--" + name, required=True)
parser.add_argument("--queries", type=int, default=4)
parser.add_argument("--items", type=int, default=50)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--slots", default="1,4")
parser.add_argument("--engine")
parser.add_argument("--others", default="")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--agrl-options", default="", help="further options of agrl serve")
a = parser.parse_args()
PORT = 8397

with open(a.catalogue, encoding="utf-8") as f:
    items = [json.loads(line) for line in f if line.strip()]
rng = random.Random(a.seed)
queries = [f"{c} {k}" for c in ("red", "blue", "black", "green", "white") for k in ("leather boots", "cotton shirt", "coat size M", "desk lamp")]
rng.shuffle(queries)
groups = [(q, rng.sample(items, a.items)) for q in queries[: a.queries + 1]]  # the last one warms up
with tempfile.NamedTemporaryFile("w", suffix=".jsonl", delete=False) as f:
    for q, some in groups:
        for item in some:
            f.write(json.dumps({"query": q, "item": item}) + "\n")
made = subprocess.run([a.bench, a.model, a.rules, f.name], check=True, stdout=subprocess.PIPE, text=True).stdout
os.unlink(f.name)
prompts = [json.loads(line)["tokens"] for line in made.splitlines()]
assert len(prompts) == len(groups) * a.items
cut = len(prompts) - a.items
lengths = sorted(map(len, prompts[:cut]))
first, last = prompts[0], prompts[cut]
common = next(i for i in range(len(first)) if first[i] != last[i])
print(f"{cut} pairs of {a.queries} queries; prompts of {lengths[0]} to {lengths[-1]} tokens (median {lengths[len(lengths) // 2]}), {common} of them the rulebook's")


def request(connection, path, body):
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, (answer.status, text[:300])
    return json.loads(text)


class Server:
    def __init__(self, command, **environment):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=dict(os.environ, **environment))
        for _ in range(600):
            if self.process.poll() is not None:
                self.log.seek(0)
                raise SystemExit("ended: " + " ".join(command) + "\n" + self.log.read()[-2000:])
            try:
                c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
                c.request("GET", "/health")
                if c.getresponse().status == 200:
                    time.sleep(0.2)
                    assert self.process.poll() is None, f"port {PORT} is another server's"
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit("not ready: " + " ".join(command))

    def __enter__(self):
        return self

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def spread(clients, work, do):
    """Each client takes the next piece of work; seconds until all is done."""
    queue, lock, failed = collections.deque(work), threading.Lock(), []

    def client():
        c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=600)
        try:
            while True:
                with lock:
                    if not queue or failed:
                        return
                    piece = queue.popleft()
                do(c, piece)
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begin = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]
    return time.monotonic() - begin


def metrics():
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    c.request("GET", "/metrics")
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in c.getresponse().read().decode().splitlines() if not line.startswith("#")}


def agrl(tiers):
    def ask(c, g):
        q, some = groups[g]
        for i, r in enumerate(request(c, "/v1/judge", {"explain": False, "pairs": [{"query": q, "item": x} for x in some]})["results"]):
            tiers[g * a.items + i] = max(r["probabilities"], key=r["probabilities"].get)
            ids.update(r["probabilities"])

    command = [a.agrl, "serve", "--model", a.model, "--rules", a.rules, "--threads", str(a.threads), "--listen", f"127.0.0.1:{PORT}", "--no-log"]
    with Server(command + a.agrl_options.split()) as server:
        spread(1, [a.queries], ask)
        before, cpu = metrics(), server.cpu_seconds()
        seconds = spread(2, range(a.queries), ask)
        after, cpu = metrics(), server.cpu_seconds() - cpu
    computed = after["agrl_tokens_computed_total"] - before["agrl_tokens_computed_total"]
    line = f"  agrl: {cut / seconds:.1f} pairs/s, {cut / cpu:.2f} a second of processor time, {computed / seconds:.0f} tokens computed/s ({computed / cut:.1f} a pair)"
    if a.engine:
        layers, head = 30 * (576 * 960 + 576 * 576 + 3 * 576 * 1536), 49152 * 576
        rate = 2 * (layers * computed + head * cut) / seconds / 1e9
        line += f", {rate:.0f} GFLOP/s, {rate / products:.0%} of the products' {products:.0f}"
    print(line, flush=True)
    return cut / seconds, cut / cpu


def product_rate():
    out = subprocess.run([a.engine, "1024", str(a.threads), "bf16"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(re.search(r"products at 1024 rows ([0-9.]+)", out).group(1))


def llama(model, slots, likely):
    def ask(c, i):
        answer = request(c, "/completion", {"prompt": prompts[i], "n_predict": 1, "temperature": 0, "cache_prompt": True, "n_probs": 40})
        tokens = answer["completion_probabilities"][0]
        named = [t["token"].strip() for t in tokens.get("top_logprobs") or tokens["top_probs"]]
        likely[i] = next((t for t in named if t in ids), None)
        counts["prompt"] += answer["timings"]["prompt_n"]

    counts = collections.Counter()
    longest = max(map(len, prompts)) + 64
    command = [a.llama, "-m", model, "--port", str(PORT), "--host", "127.0.0.1", "-t", str(a.threads), "-tb", str(a.threads), "-np", str(slots),
               "-c", str(longest * slots), "-ctxcp", "0", "--no-webui"]  # no checkpoints: 3 % faster
    # Threads that sleep instead of spinning: with other work on the processors it is up to ten times slower without.
    with Server(command, OMP_WAIT_POLICY="passive") as server:
        spread(slots, range(cut, min(cut + 8 * slots, len(prompts))), ask)
        counts.clear()
        cpu = server.cpu_seconds()
        seconds = spread(slots, range(cut), ask)
        cpu = server.cpu_seconds() - cpu
    print(f"  llama-server, {os.path.basename(model)}, {slots} slot(s): {cut / seconds:.1f} pairs/s, {cut / cpu:.2f} a second of processor time, {counts['prompt'] / seconds:.0f} prompt tokens computed/s ({counts['prompt'] / cut:.1f} a pair)")
    return cut / seconds, cut / cpu


tiers, ids, best, products = {}, set(), {}, 0


def keep(name, rates):
    best[name] = tuple(map(max, zip(rates, best.get(name, (0, 0)))))


def measure(name, model):
    for slots in map(int, a.slots.split(",")):
        likely = {}
        keep(name, llama(model, slots, likely))
        same = sum(likely.get(i) == tiers[i] for i in range(cut))
        print(f"    the same likeliest tier for {same} of {cut} pairs", flush=True)
        assert same >= cut / 2, "not the same work"


for round in range(a.rounds):
    print(f"round {round + 1}", flush=True)
    if a.engine:
        products = product_rate()
    keep("agrl", agrl(tiers))
    measure("llama-server", a.model)
    for other in filter(None, a.others.split(",")):
        measure("llama-server with " + os.path.basename(other), other)
for name in list(best)[1:]:
    (wall, cpu), (other, other_cpu) = best["agrl"], best[name]
    print(f"agrl {wall:.1f} pairs/s, {name} {other:.1f}: {wall / other:.2f} times; {cpu:.2f} and {other_cpu:.2f} a second of processor time: {cpu / other_cpu:.2f} times")

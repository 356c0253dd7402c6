"""Load on `agrl serve`: N clients, each asking for M pairs at a time for S seconds over a kept connection.

Usage: serve_load.py URL [--clients 64] [--items 100] [--seconds 300] [--explain] [--catalogue FILE.jsonl] [--queries FILE] [--token T]
Prints statuses, latencies (p50, p99), pairs a second, tokens computed and shared, and resident memory at start and end.
Ends with 1 when an answer was neither 200 nor 429.
"""
import argparse
import http.client
import json
import random
import sys
import threading
import time
import urllib.parse

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--clients", type=int, default=64)
parser.add_argument("--items", type=int, default=100)
parser.add_argument("--seconds", type=float, default=300)
parser.add_argument("--explain", action="store_true")
parser.add_argument("--catalogue", help="items, one JSON object a line; else invented ones")
parser.add_argument("--queries", help="one a line; else invented ones")
parser.add_argument("--token")
parser.add_argument("--seed", type=int, default=1)
a = parser.parse_args()
where = urllib.parse.urlsplit(a.url)
headers = {"Content-Type": "application/json"}
if a.token:
    headers["Authorization"] = "Bearer " + a.token
COLOURS, KINDS, STUFF = ["red", "blue", "olive", "navy"], ["boots", "kettle", "lamp", "jacket", "desk"], ["leather", "suede", "oak", "steel"]


def lines(path):
    with open(path, encoding="utf-8") as f:
        return [line.rstrip("\n") for line in f if line.strip()]


rng = random.Random(a.seed)
items = [json.loads(line) for line in lines(a.catalogue)] if a.catalogue else [
    {"title": f"{rng.choice(COLOURS)} {rng.choice(STUFF)} {rng.choice(KINDS)} {i}", "brand": f"Brand {i % 50}",
     "attributes": {"colour": rng.choice(COLOURS), "material": rng.choice(STUFF)}, "price": i % 200} for i in range(4000)]
queries = lines(a.queries) if a.queries else [f"{c} {m} {k}" for c in COLOURS for m in STUFF for k in KINDS]


def get(path):
    c = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    c.request("GET", path, headers=headers)
    return c.getresponse().read().decode()


def metrics():
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in get("/metrics").splitlines() if not line.startswith("#")}


lock, statuses, latencies = threading.Lock(), {}, []


def client(number, end):
    r = random.Random(f"{a.seed}-{number}")
    c = http.client.HTTPConnection(where.hostname, where.port, timeout=600)
    while time.monotonic() < end:
        query = r.choice(queries)
        body = json.dumps({"explain": a.explain, "pairs": [{"query": query, "item": i} for i in r.sample(items, min(a.items, len(items)))]})
        begin, wait = time.monotonic(), 0
        try:
            c.request("POST", "/v1/judge", body, headers)
            answer = c.getresponse()
            text = answer.read()
            status = str(answer.status)
            if answer.status == 200:
                n = len(json.loads(text)["results"])
                status = status if n == min(a.items, len(items)) else "200 but short"
            elif answer.status in (429, 503):
                wait = float(answer.headers.get("Retry-After", 1))
        except (OSError, http.client.HTTPException) as e:
            status = type(e).__name__
            c.close()
        seconds = time.monotonic() - begin
        with lock:
            statuses[status] = statuses.get(status, 0) + 1
            if status == "200":
                latencies.append(seconds)
        if wait:
            c.close()  # the server closes connections that are idle for long
            time.sleep(min(wait, max(0, end - time.monotonic())) * r.uniform(0.5, 1.5))


while "agrl_pairs_judged_total" not in (before := metrics()):
    time.sleep(0.2)  # the model is being loaded
begin = time.monotonic()
threads = [threading.Thread(target=client, args=(i, begin + a.seconds)) for i in range(a.clients)]
memory = [before["process_resident_memory_bytes"]]
for t in threads:
    t.start()
while any(t.is_alive() for t in threads):
    time.sleep(min(5, a.seconds / 10))
    memory.append(metrics()["process_resident_memory_bytes"])
after, seconds = metrics(), time.monotonic() - begin
latencies.sort()
at = lambda p: latencies[min(len(latencies) - 1, int(p * len(latencies)))] if latencies else float("nan")
diff = lambda name: after[name] - before[name]
pairs, computed, shared = (diff(f"agrl_{n}_total") for n in ("pairs_judged", "tokens_computed", "tokens_shared"))
print(f"{a.clients} clients, {a.items} items a request, {seconds:.0f} s, {'explained' if a.explain else 'tier only'}")
print("statuses: " + ", ".join(f"{k} x {v}" for k, v in sorted(statuses.items())))
print(f"latency of 200s: p50 {at(0.5):.2f} s, p99 {at(0.99):.2f} s")
print(f"{pairs / seconds:.1f} pairs/s, {computed / seconds:.0f} tokens computed/s, {shared / max(1, computed + shared):.1%} of tokens shared")
parts = [memory[min(len(memory) - 1, len(memory) * k // 10)] / 1e6 for k in (1, 3, 5, 7, 9)]
print(f"resident memory {memory[0] / 1e6:.1f} MB at the start, {' '.join(f'{m:.1f}' for m in parts)} after 1, 3, 5, 7 and 9 tenths of the time, "
      f"{memory[-1] / 1e6:.1f} at the end")
sys.exit(any(k not in ("200", "429") for k in statuses))

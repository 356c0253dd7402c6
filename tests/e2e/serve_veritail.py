"""veritail, unchanged, with `agrl serve` as its LLM. Usage: serve_veritail.py URL CATALOGUE.jsonl (token as in test_serve.sh).

Its scores must be the tiers that /v1/judge gives for the same pairs.
"""
import json
import os
import subprocess
import sys
import urllib.request

url, catalogue = sys.argv[1:3]
TOKEN = "0123456789abcdef0123"
with open(catalogue, encoding="utf-8") as f:
    items = [json.loads(line) for line in f][:6]
with open("adapter.py", "w") as f:
    f.write(f"""
from veritail.types import SearchResult
ITEMS = {items!r}
def search(query):
    return [SearchResult(product_id=x["id"], title=x["title"], description=x.get("description", ""), category=x.get("category", ""),
                         price=float(x.get("price") or 0), position=i,
                         attributes=dict(x.get("attributes", {{}}), **({{"brand": x["brand"]}} if "brand" in x else {{}})))
            for i, x in enumerate(ITEMS)]
""")
queries = ["red boots", items[0]["title"], "Zorba coat not blue"]
with open("queries.csv", "w") as f:
    f.write("query\n" + "\n".join(queries) + "\n")


def get(path, body=None):
    headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode() if body else None, headers)) as answer:
        return json.load(answer)


model = get("/v1/models")["data"][0]["id"]
run = subprocess.run([sys.executable, "-c", "from veritail.cli import main; main()", "run", "--queries", "queries.csv", "--adapter", "adapter.py",
                      "--config-name", "agrl", "--llm-model", model, "--llm-base-url", url + "/v1", "--llm-api-key", TOKEN,
                      "--no-summary", "--output-dir", "veritail-out"],
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ, NO_COLOR="1"))
assert run.returncode == 0, run.stdout[-2000:]
found = {}
for folder, _, names in os.walk("veritail-out"):
    for name in names:
        if name.endswith(".jsonl") and "judgment" in name:
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                for line in f:
                    j = json.loads(line)
                    found[j["query"], j["product"]["product_id"]] = j
assert len(found) == len(queries) * len(items), (len(found), run.stdout[-2000:])
tiers = [t["id"] for t in get("/v1/rulebook")["tiers"]]
for query in queries:
    judged = get("/v1/judge", {"pairs": [{"query": query, "item": x} for x in items]})["results"]
    for x, j in zip(items, judged):
        score = found[query, x["id"]]
        assert score["score"] == 3 - tiers.index(j["tier"]), (score, j)
        assert j["rule"] in score["reasoning"], (score, j)
        assert (score["attribute_verdict"] == "n/a") == (j["asked"] == []), (score, j)
print(f"{len(found)} pairs rated by veritail, all as /v1/judge says")

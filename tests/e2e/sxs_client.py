"""sxs_client.py ADDRESS TOKEN JUDGE LOG ACKED [MOST]: judges a side-by-side study over HTTP until nothing is left (or MOST answers are given), by a
fixed taste: an item is good when its title says so, the side with more good ones is better. JUDGE "careless" prefers the worse side, and the
left one where neither is. All that comes over the wire is appended to LOG, each acknowledged task to ACKED, flushed at once. Survives a server that dies and comes back."""
import json, sys, time, urllib.error, urllib.request

address, token, judge, log, acked = sys.argv[1:6]
most = int(sys.argv[6]) if len(sys.argv) > 6 else 10**9
wire, done = open(log, "a"), open(acked, "a")


def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", data, {"X-Judge": token, "Content-Type": "application/json"})
    for _ in range(200):
        try:
            answer = urllib.request.urlopen(request, timeout=10)
            text = answer.read().decode()
            wire.write(f"{answer.headers}{text}\n")
            return json.loads(text)
        except urllib.error.HTTPError as e:
            print(path, e.code, e.read().decode())
            sys.exit(1)
        except (OSError, ValueError):  # gone, or cut in the middle: nothing was acknowledged
            time.sleep(0.05)
    sys.exit("no server")


def answer_to(task):
    good = {str(i["item"]): "good" in i["title"] for i in task["left"] + task["right"]}
    left, right = (sum(good[str(i["item"])] for i in task[side]) for side in ("left", "right"))
    difference = max(-2, min(2, right - left))
    if judge == "careless":
        difference = -difference or -2
    answer = {"task": task["task"], "ratings": good, "preference": difference}
    if difference == 0:
        answer["both"] = "good" if left else "bad"
    return answer


given = 0
while given < most:
    task = call("/api/task")
    if "task" not in task:
        break
    call("/api/answer", answer_to(task))
    done.write(f"{task['task']}\n")
    done.flush()
    given += 1
print(given)

"""Clients that mean no good, and a stop under load. Usage: serve_abuse.py abuse|drain URL PID."""
import json
import os
import random
import signal
import socket
import sys
import threading
import time
import urllib.parse

last = b""
mode, url, pid = sys.argv[1], sys.argv[2], int(sys.argv[3])
where = urllib.parse.urlsplit(url)
ADDRESS = (where.hostname, where.port)
HEAD = "Host: localhost\r\nConnection: close\r\n"
BODY = json.dumps({"pairs": [{"query": "red boots", "item": {"title": f"Boots {i}"}} for i in range(4)]}).encode()


def connect():
    return socket.create_connection(ADDRESS, timeout=30)


def read_all(s):
    got = b""
    try:
        while True:
            part = s.recv(65536)
            if not part:
                return got
            got += part
    except (ConnectionResetError, BrokenPipeError):
        return got


def ask(raw):
    """Status of the answer to these bytes; 0: closed without one."""
    global last
    with connect() as s:
        try:
            s.sendall(raw)
        except (ConnectionResetError, BrokenPipeError):
            pass
        got = last = read_all(s)
    return int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/1.") else 0


def post(path, body, kind="application/json", length=None):
    n = len(body) if length is None else length
    return f"POST {path} HTTP/1.1\r\n{HEAD}Content-Type: {kind}\r\nContent-Length: {n}\r\n\r\n".encode() + body


def memory():
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def garbage(r):
    """One request and the statuses that are right for it."""
    path = r.choice(["/v1/judge", "/v1/rerank", "/v1/chat/completions"])
    noise = bytes(r.randrange(256) for _ in range(r.randrange(1, 200)))
    kinds = [
        lambda: (post(path, noise), {400}),
        lambda: (post(path, BODY[: r.randrange(1, len(BODY))]), {400}),
        lambda: (post(path, b'{"pairs": ' + b"[" * r.randrange(100, 50000)), {400}),
        lambda: (post(path, json.dumps({"pairs": r.choice([1, "x", None, {}, True, 1e300, [1], [[]], [None]]),
                                        "query": r.choice([1, [], {}]), "documents": 3, "messages": 4}).encode()), {400}),
        lambda: (post(path, b'{"pairs": [{"query": "a", "item": {"title": "x", "price": ' + b"9" * r.randrange(30, 4000) +
                      b"}}]}"), {400}),
        lambda: (post(path, b'{"query": "\xff\xfe", "documents": ["a"]}'), {400}),
        lambda: (post(path, b'{"query": "\\ud800", "documents": ["a"]}'), {400}),
        lambda: (post(path, b"x", length=1 << 30), {413}),
        lambda: (post(path, b"x", length=-5), {400}),
        lambda: (post(path, BODY, kind=r.choice(["text/plain", "multipart/form-data", "", "application/jsonx"])), {415}),
        lambda: (f"GET /{'../' * r.randrange(1, 20)}etc/passwd HTTP/1.1\r\n{HEAD}\r\n".encode(), {404}),
        lambda: (f"GET /page.css/..%2f..%2fetc/passwd%00 HTTP/1.1\r\n{HEAD}\r\n".encode(), {400}),
        lambda: (b"GET / HTTP/1.1\r\n" + HEAD.encode() + b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"\r\n", {413, 431}),
        lambda: (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n" + HEAD.encode() + b"\r\n", {414, 431}),
        lambda: (noise + b"\r\n\r\n", {0, 400, 405, 501, 505}),
        lambda: (f"{r.choice(['PUT', 'DELETE', 'PATCH', 'TRACE', 'BREW', 'OPTIONS'])} {path} HTTP/1.1\r\n{HEAD}\r\n".encode(),
                 {405}),
        lambda: (f"POST {path} HTTP/1.1\r\n{HEAD}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "zz\r\nxx\r\n0\r\n\r\n".encode(), {0, 400}),
    ]
    return r.choice(kinds)()


def abuse():
    for _ in range(20):
        assert ask(post("/v1/judge", BODY)) == 200
    before, r, seen = memory(), random.Random(7), {}
    for i in range(1000):
        raw, right = garbage(r)
        status = ask(raw)
        assert status in right, f"{status} in place of {right} for {raw[:200]}"
        seen[status] = seen.get(status, 0) + 1
    print("1000 garbage requests:", ", ".join(f"{k} x {v}" for k, v in sorted(seen.items())))
    # Connections that say nothing, half a head, half a body; the service goes on meanwhile and cuts them off.
    held = []
    for i in range(45):
        s = connect()
        s.sendall((b"", b"POST /v1/judge HTTP/1.1\r\nHost: loc", post("/v1/judge", BODY, length=10000))[i % 3])
        held.append(s)
    assert ask(f"GET /health HTTP/1.1\r\n{HEAD}\r\n".encode()) == 200
    answers = [read_all(s)[:12] for s in held]
    assert all(a == (b"" if i % 3 == 0 else b"HTTP/1.1 408") for i, a in enumerate(answers)), answers
    print("45 half-open connections: closed or 408")
    # Clients that are gone before their answer, and ones that do not read it.
    for i in range(100):
        s = connect()
        s.sendall(post("/v1/judge", BODY) if i % 2 else post("/v1/judge", BODY)[: 40 + i])
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0" if i % 4 < 2 else b"\0" * 8)
        s.close()
    slow = []
    for i in range(20):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(ADDRESS)
        s.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40)
        slow.append(s)
    assert ask(post("/v1/judge", BODY)) == 200, last
    time.sleep(4)
    assert ask(post("/v1/judge", BODY)) == 200, last
    for s in slow:
        s.close()
    after = memory()
    print(f"100 killed clients, 20 slow readers: serves on; resident memory {before:.1f} MB before, {after:.1f} MB after")
    with open(f"/proc/{pid}/maps") as f:
        checked = "libasan" in f.read()  # which keeps what was freed
    assert after < before + (400 if checked else 40), "memory grew"


def drain():
    """Clients that ask as fast as they can, half on kept connections; then SIGTERM. A request that was sent on a connection that was
    made must be answered; afterwards connections are refused."""
    lock, counts, lost = threading.Lock(), {}, []
    stop_at = []

    def answer_of(s):
        got = b""
        while b"\r\n\r\n" not in got:
            part = s.recv(65536)
            if not part:
                return got, True
            got += part
        head, _, rest = got.partition(b"\r\n\r\n")
        n = next(int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:"))
        while len(rest) < n:
            part = s.recv(65536)
            if not part:
                return got, True
            rest += part
        return head, b"connection: close" in head.lower()

    def client(number):
        keep = number % 2 == 0
        head = "Host: localhost\r\n" + ("" if keep else "Connection: close\r\n")
        raw = f"POST /v1/judge HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY
        while True:
            try:
                s = connect()
            except ConnectionRefusedError:
                return
            closed = False
            while not closed:
                try:
                    s.sendall(raw)
                    got, closed = answer_of(s)
                except (ConnectionResetError, BrokenPipeError) as e:
                    got, closed = str(e).encode(), True
                status = int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/1.1 ") else 0
                with lock:
                    counts[status] = counts.get(status, 0) + 1
                    if status != 200:
                        lost.append((number, got, time.time() - stop_at[0] if stop_at else None))
            s.close()

    threads = [threading.Thread(target=client, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    time.sleep(1.5)
    stop_at.append(time.time())
    os.kill(pid, signal.SIGTERM)
    for t in threads:
        t.join(60)
        assert not t.is_alive(), "a client still waits"
    print(f"16 clients, {counts.get(200, 0)} requests answered, {len(lost)} lost")
    assert not lost, lost[:3]


{"abuse": abuse, "drain": drain}[mode]()

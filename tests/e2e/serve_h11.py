"""Changed requests, read by h11 and by the server: what the server takes as requests h11 takes too, and as many of them; what it refuses
and h11 takes must be one of the things that it is meant to be stricter about. Usage: serve_h11.py URL [COUNT]
"""
import random
import re
import socket
import sys
import urllib.parse

import h11

where = urllib.parse.urlsplit(sys.argv[1])
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
HOST = b"Host: localhost\r\n"
# Codes of refusals that h11 need not share: line folding, controls in values, authorities in Host, equal lengths said twice, bare LF among
# chunks and blanks behind their lengths, targets of all forms, later versions (and their Host), sizes.
STRICTER = {"invalid_header", "invalid_host", "two_lengths", "invalid_length", "invalid_chunk", "invalid_path", "unknown_method", "unknown_version",
            "unknown_coding", "unknown_expectation", "too_large", "too_many", "too_long", "not_http", "no_host"}
# What h11 refuses and the standard allows: its words, and the sign of it among the bytes.
LEFT_OUT = [("no request line", rb"\n"), ("illegal request line", rb"[\x80-\xff]"), ("illegal chunk header", rb"[ \t];"), ("Transfer-Encoding", rb"\n0\r\nX-Sum"),
            ("Content-Length", rb"\n0\r\nX-Sum")]  # empty lines before a request; UTF-8 in its line; blanks before an extension; trailers of any name
SEEDS = [
    b"GET /health HTTP/1.1\r\n" + HOST + b"X-A: b\r\n\r\n",
    b"GET /health?a=b&c HTTP/1.0\r\n\r\n",
    b"POST /v1/judge HTTP/1.1\r\n" + HOST + b"Content-Type: text/csv\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /v1/judge HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
    b"POST /v1/judge HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
]
WORDS = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b",", b"0", b"1", b"f", b"\0", b"\x01", b"\xff", b"-", b"+", b"GET ", b"HTTP/1.1", b"HTTP/1.0",
         b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", HOST, b"X: y\r\n", b" folded\r\n", b"chunked", b"0\r\n\r\n", b"%00", b"Connection: close\r\n"]


def changed(r):
    raw = bytearray(b"".join(r.choice(SEEDS) for _ in range(r.randrange(1, 4))))
    for _ in range(r.choice([0, 1, 1, 1, 2, 3])):
        at = r.randrange(len(raw) + 1)
        kind = r.randrange(4)
        if kind == 0:
            raw[at:at] = r.choice(WORDS)
        elif kind == 1:
            del raw[at: at + r.choice([1, 1, 1, 2, 5, 40])]
        elif kind == 2:
            raw[at: at + 1] = r.choice(WORDS)
        else:
            raw[at: at + 1] = bytes([r.randrange(256)])
    return bytes(raw)


def by_h11(raw):
    """How many requests, and why no more ('' when they just end)."""
    c = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    good = 0
    try:
        c.receive_data(raw)
        c.receive_data(b"")
        while True:
            event = c.next_event()
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return good, ""
            if event is h11.PAUSED:
                return good, ""
            if isinstance(event, h11.EndOfMessage):
                good += 1
                c.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                c.send(h11.EndOfMessage())
                if c.our_state is not h11.DONE:
                    return good, ""
                c.start_next_cycle()
    except h11.RemoteProtocolError as e:
        return good, str(e)


def by_server(raw, r):
    with socket.create_connection((where.hostname, where.port), timeout=30) as s:
        got = b""
        try:
            cut = r.randrange(len(raw) + 1)
            s.sendall(raw[:cut])
            s.sendall(raw[cut:])
            s.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass
        try:
            while part := s.recv(65536):
                got += part
        except ConnectionResetError:
            pass
    good, why = 0, ""
    while got:
        head, _, got = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1."), (head, raw)
        n = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
        assert not why and len(got) >= n, (head, got, raw)
        body, got = got[:n], got[n:]
        if b"X-Request-Id:" in head:
            good += 1
            if b" 413 " in head:
                why = "too_large"
        else:
            why = re.search(rb'"code":"(\w+)"', body).group(1).decode()
    return good, why


r, counts = random.Random(11), {}
for number in range(COUNT):
    raw = changed(r)
    theirs, ours = by_h11(raw), by_server(raw, r)
    if any(word in theirs[1] and re.search(sign, raw) for word, sign in LEFT_OUT):
        same = "left out"
    elif theirs[0] == ours[0] and bool(theirs[1]) == bool(ours[1]):
        same = "both refuse" if ours[1] else "both take"
    else:
        same = f"only refused here: {ours[1]}"
        assert ours[1] in STRICTER and theirs[0] >= ours[0], (raw, theirs, ours)
    counts[same] = counts.get(same, 0) + 1
for same, n in sorted(counts.items()):
    print(f"{same:40} {n}")
assert counts["both take"] > COUNT / 10 and counts["both refuse"] > COUNT / 10

"""The page of `agrl serve` in a headless Chromium, by keyboard and mouse. Usage: serve_page.py URL [FOLDER for screenshots]."""
import csv
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser import Browser  # noqa: E402

url, shots = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
ENTER, TAB, RIGHT = "\ue007", "\ue004", "\ue014"
RISKY = "<img src=x onerror=\"document.title='broken'\">"


def fits(b):
    wide, room = b.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= room, f"{wide} pixels in {room}"


def look(b, name):
    fits(b)
    if shots:
        b.shot(os.path.join(shots, name + ".png"))


def judge_own(b):
    b.click("#source-own")
    b.type("#items", "Boots of red leather\n" + RISKY + "\n")
    b.type("#query", "\ue009a\ue000red boots not suede" + ENTER)
    b.wait("return document.querySelectorAll('.card').length === 2 && "
           "document.getElementById('judge-status').textContent.includes('best first')")
    assert b.run("return document.title") != "broken" and b.run("return document.images.length") == 0
    titles = b.run("return [...document.querySelectorAll('.card .title')].map(e => e.textContent)")
    assert RISKY in titles, titles


def judge_batch(b, folder):
    path = os.path.join(folder, "pairs.csv")
    with open(path, "w", newline="", encoding="utf-8") as f:
        rows = csv.writer(f)
        rows.writerow(["query", "title", "brand", "colour"])
        for i in range(70):
            rows.writerow([f"red boots {i}", '=Boots, "fine"\nand warm', "Acme", "red"])
    b.click("#tab-batch")
    b.type("#batch-file", path)
    b.click("#batch-go")
    b.wait("return !document.getElementById('downloads').hidden", 60)
    assert "70 of 70" in b.run("return document.getElementById('batch-status').textContent")
    b.click("#download-csv")
    end, got = time.time() + 10, os.path.join(b.downloads, "pairs-judged.csv")
    while not os.path.exists(got) and time.time() < end:
        time.sleep(0.05)
    with open(got, newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 70 and rows[0]["query"] == "red boots 0" and rows[0]["tier"] in "1234"
    assert rows[0]["title"].startswith("'=Boots"), rows[0]["title"]  # no formula for a spreadsheet
    assert abs(sum(float(rows[0]["p_" + t]) for t in "1234") - 1) < 1e-6


for name, width, dark in (("wide", 1000, False), ("phone", 360, True)):
    with Browser(width, 900, dark) as b, tempfile.TemporaryDirectory() as folder:
        b.open(url + "/")
        b.wait("return document.getElementById('about').textContent.startsWith('model')")
        b.keys("/red boots" + ENTER)  # the keyboard alone
        b.wait("return document.getElementById('judge-status').textContent.includes('best first')")
        cards = b.run("return document.querySelectorAll('.card').length")
        assert 1 <= cards <= 20, cards
        gains = b.run("return document.querySelector('.card .rule').textContent")
        assert gains
        look(b, "judge-" + name)
        judge_own(b)
        b.run("document.getElementById('tab-judge').focus()")
        b.keys(RIGHT + RIGHT)
        assert b.run("return !document.getElementById('view-rules').hidden")
        assert "Tiers" in b.run("return document.getElementById('rulebook').textContent")
        look(b, "rules-" + name)
        judge_batch(b, folder)
        look(b, "batch-" + name)
        problems = [m for m in b.console() if m["level"] == "SEVERE"]
        assert not problems, problems
print("ok")

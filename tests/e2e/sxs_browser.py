"""sxs_browser.py LINK FOLDER: goes through a side-by-side study in headless Chromium as a judge does, with the keyboard and with clicks, and
saves screenshots. Prints a line a task;
exit 1 with a reason when the page does not do what it should, 77 when there is no browser."""
import json
import sys

import browser

KEYS = {"up": "\ue013", "down": "\ue015", "left": "\ue012", "right": "\ue014", "enter": "\ue007", "escape": "\ue00c"}


class Browser(browser.Browser):
    def js(self, code):
        return self.run("return " + code)

    def key(self, *keys):
        self.keys("".join(KEYS.get(k, k) for k in keys))

    def see(self, code, what):
        try:
            self.wait("return " + code, 10)
        except RuntimeError:
            fail(f"{what}: {self.js('document.body.innerText')[:400]}")


def fail(why):
    print("FAILED:", why)
    sys.exit(1)


QUERY = "document.getElementById('query').textContent"
STATUS = "document.getElementById('status').textContent"
CARDS = "document.querySelectorAll('li').length"
RATED = "document.querySelectorAll('.rate button[aria-pressed=true]').length"
DONE = "document.getElementById('who').textContent"


def by_keyboard(b, folder):
    b.see("!document.getElementById('task').hidden", "no task is shown")
    b.shot(f"{folder}/fresh.png")
    first, cards = b.js(QUERY), b.js(CARDS)
    b.key("enter")
    b.see(f"{STATUS}.startsWith('Please rate every result')", "Enter without ratings must ask for them")
    b.shot(f"{folder}/missed.png")
    for i in range(cards * 2):
        if b.js(RATED) == cards:
            break
        b.key("b" if i % 3 else "g")
    if b.js(RATED) != cards:
        fail(f"keys rated {b.js(RATED)} of {cards}")
    b.key("enter")
    b.see(f"{STATUS}.startsWith('Please say')", "Enter without a preference must ask for it")
    b.key("2")
    b.key("c")
    for c in "good on the left":
        b.key(c)
    b.key("escape")
    if b.js(QUERY) != first or b.js("document.getElementById('comment').value") != "good on the left":
        fail("typing a comment must not rate or save")
    b.shot(f"{folder}/rated.png")
    b.do("POST", "/refresh", {})
    b.see("!document.getElementById('task').hidden", "no task after a reload")
    if b.js(QUERY) != first or b.js(RATED) != cards:
        fail("a reload must keep what is half done")
    b.key("enter")
    b.see(f"{QUERY} !== {json.dumps(first)} && {DONE}.includes('1 judged')", "not saved by Enter")
    print("keyboard: rated, preferred, commented, reloaded, saved")


def by_clicks(b, folder):
    first = b.js(QUERY)
    b.js("document.querySelectorAll('.rate .good').forEach(e => e.click())")
    b.click("fieldset .bg")
    b.click("#save")
    b.see(f"{QUERY} !== {json.dumps(first)} && {DONE}.includes('2 judged')", "not saved by clicks")
    first = b.js(QUERY)
    b.click("#skip")
    b.see(f"{QUERY} !== {json.dumps(first)} && {DONE}.includes('1 skipped')", "not skipped")
    b.see("!document.getElementById('back').disabled", "no way back")
    here = b.js(QUERY)
    b.key("z")
    b.see(f"{QUERY} === {json.dumps(first)}", "back must show the last one")
    b.js("document.querySelectorAll('.rate .good').forEach(e => e.click())")
    b.key("6", "enter")
    b.see(f"{QUERY} === {json.dumps(here)} && !{DONE}.includes('skipped')", "a skipped one can be judged after all")
    print("clicks: rated, preferred, saved, skipped, went back")


def to_the_end(b, folder):
    done = 3
    b.see(f"{DONE}.includes('3 judged')", 'three are judged')
    for _ in range(500):
        if not b.js("document.getElementById('text').hidden"):
            break
        before = b.js(DONE)
        b.js("document.querySelectorAll('.rate .bad').forEach(e => e.click())")
        b.key("4", "enter")
        b.see(f"{DONE} !== {json.dumps(before)} || !document.getElementById('text').hidden", "stuck")
        done += 1
    b.see("document.getElementById('text').textContent.startsWith('Nothing is left')", "no end")
    b.shot(f"{folder}/end.png")
    print(f"end: {done} tasks")


def main(link, folder, secrets):
    if browser.missing():
        print("no", browser.missing())
        sys.exit(77)
    wide = Browser(1200, 900)
    try:
        wide.open(link)
        by_keyboard(wide, folder)
        by_clicks(wide, folder)
        wide.key("?")
        wide.shot(f"{folder}/help.png")
        wide.key("?")
        to_the_end(wide, folder)
        wrong = [e["message"] for e in wide.console() if e["level"] in ("SEVERE", "WARNING")]
        if wrong:
            fail("the browser complains: " + wrong[0])
        page = wide.js("document.documentElement.outerHTML + JSON.stringify(sessionStorage) + document.title").lower()
        for secret in secrets:
            if secret in page:
                fail("a system is named")
    finally:
        wide.close()
    for dark in (False, True):
        phone = Browser(360, 740, dark)
        try:
            phone.open(link)
            phone.see("!document.getElementById('text').hidden || !document.getElementById('task').hidden", "nothing on a phone")
            width = phone.js("document.documentElement.scrollWidth")
            if width > 360:
                fail(f"the page is {width} wide on a phone of 360")
            phone.shot(f"{folder}/phone-{'dark' if dark else 'light'}.png")
        finally:
            phone.close()
    print("phone: fits")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])

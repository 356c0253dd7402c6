"""sxs_browser.py LINK FOLDER: goes through a side-by-side study in headless Chromium as a judge does, with the keyboard and with clicks, and
saves screenshots. Needs chromedriver and chromium; speaks WebDriver itself, so nothing of Python but its library. Prints a line a task;
exit 1 with a reason when the page does not do what it should, 77 when there is no browser."""
import base64, json, shutil, socket, subprocess, sys, tempfile, time, urllib.request

KEYS = {"up": "\ue013", "down": "\ue015", "left": "\ue012", "right": "\ue014", "enter": "\ue007", "escape": "\ue00c"}


class Browser:
    def __init__(self, width, height, dark=False):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.home = tempfile.mkdtemp()
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={self.home}",
                f"--window-size={width},{height}", "--hide-scrollbars"]
        options = {"args": args}
        if width < 500:
            options["mobileEmulation"] = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2.0, "touch": True}}
        caps = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                                                 "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}}
        for _ in range(100):
            try:
                self.session = self.post("/session", caps)["sessionId"]
                break
            except OSError:
                time.sleep(0.1)
        self.base += f"/session/{self.session}"
        if dark:
            self.post("/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia",
                                            "params": {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}})

    def post(self, path, body):
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=60))["value"]

    def open(self, url):
        self.post("/url", {"url": url})

    def js(self, code):
        return self.post("/execute/sync", {"script": "return " + code, "args": []})

    def key(self, *keys):
        actions = []
        for k in keys:
            k = KEYS.get(k, k)
            actions += [{"type": "keyDown", "value": k}, {"type": "keyUp", "value": k}]
        self.post("/actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})

    def click(self, selector):
        found = self.post("/element", {"using": "css selector", "value": selector})
        self.post(f"/element/{list(found.values())[0]}/click", {})

    def shot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(json.load(urllib.request.urlopen(self.base + "/screenshot"))["value"]))

    def wait(self, code, what):
        for _ in range(100):
            if self.js(code):
                return
            time.sleep(0.05)
        fail(f"{what}: {self.js('document.body.innerText')[:400]}")

    def log(self, kind):
        return self.post("/se/log", {"type": kind})

    def close(self):
        try:
            urllib.request.urlopen(urllib.request.Request(self.base, method="DELETE"), timeout=20)
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.home, ignore_errors=True)


def fail(why):
    print("FAILED:", why)
    sys.exit(1)


QUERY = "document.getElementById('query').textContent"
STATUS = "document.getElementById('status').textContent"
CARDS = "document.querySelectorAll('li').length"
RATED = "document.querySelectorAll('.rate button[aria-pressed=true]').length"
DONE = "document.getElementById('who').textContent"


def by_keyboard(b, folder):
    b.wait("!document.getElementById('task').hidden", "no task is shown")
    b.shot(f"{folder}/fresh.png")
    first, cards = b.js(QUERY), b.js(CARDS)
    b.key("enter")
    b.wait(f"{STATUS}.startsWith('Please rate every result')", "Enter without ratings must ask for them")
    b.shot(f"{folder}/missed.png")
    for i in range(cards * 2):
        if b.js(RATED) == cards:
            break
        b.key("b" if i % 3 else "g")
    if b.js(RATED) != cards:
        fail(f"keys rated {b.js(RATED)} of {cards}")
    b.key("enter")
    b.wait(f"{STATUS}.startsWith('Please say')", "Enter without a preference must ask for it")
    b.key("2")
    b.key("c")
    for c in "good on the left":
        b.key(c)
    b.key("escape")
    if b.js(QUERY) != first or b.js("document.getElementById('comment').value") != "good on the left":
        fail("typing a comment must not rate or save")
    b.shot(f"{folder}/rated.png")
    b.open(b.js("location.href") + "")
    b.post("/refresh", {})
    b.wait("!document.getElementById('task').hidden", "no task after a reload")
    if b.js(QUERY) != first or b.js(RATED) != cards:
        fail("a reload must keep what is half done")
    b.key("enter")
    b.wait(f"{QUERY} !== {json.dumps(first)} && {DONE}.includes('1 judged')", "not saved by Enter")
    print("keyboard: rated, preferred, commented, reloaded, saved")


def by_clicks(b, folder):
    first = b.js(QUERY)
    b.js("document.querySelectorAll('.rate .good').forEach(e => e.click())")
    b.click("fieldset .bg")
    b.click("#save")
    b.wait(f"{QUERY} !== {json.dumps(first)} && {DONE}.includes('2 judged')", "not saved by clicks")
    first = b.js(QUERY)
    b.click("#skip")
    b.wait(f"{QUERY} !== {json.dumps(first)} && {DONE}.includes('1 skipped')", "not skipped")
    b.wait("!document.getElementById('back').disabled", "no way back")
    here = b.js(QUERY)
    b.key("z")
    b.wait(f"{QUERY} === {json.dumps(first)}", "back must show the last one")
    b.js("document.querySelectorAll('.rate .good').forEach(e => e.click())")
    b.key("6", "enter")
    b.wait(f"{QUERY} === {json.dumps(here)} && !{DONE}.includes('skipped')", "a skipped one can be judged after all")
    print("clicks: rated, preferred, saved, skipped, went back")


def to_the_end(b, folder):
    done = 3
    b.wait(f"{DONE}.includes('3 judged')", 'three are judged')
    for _ in range(500):
        if not b.js("document.getElementById('text').hidden"):
            break
        before = b.js(DONE)
        b.js("document.querySelectorAll('.rate .bad').forEach(e => e.click())")
        b.key("4", "enter")
        b.wait(f"{DONE} !== {json.dumps(before)} || !document.getElementById('text').hidden", "stuck")
        done += 1
    b.wait("document.getElementById('text').textContent.startsWith('Nothing is left')", "no end")
    b.shot(f"{folder}/end.png")
    print(f"end: {done} tasks")


def main(link, folder, secrets):
    if not shutil.which("chromedriver"):
        print("no chromedriver")
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
        wrong = [e["message"] for e in wide.log("browser") if e["level"] in ("SEVERE", "WARNING")]
        if wrong:
            fail("the browser complains: " + wrong[0])
        traffic = json.dumps(wide.log("performance"))
        for secret in secrets:
            if secret in traffic or secret in wide.js("document.documentElement.outerHTML"):
                fail("a system is named")
    finally:
        wide.close()
    for dark in (False, True):
        phone = Browser(360, 740, dark)
        try:
            phone.open(link.replace("ann", "ann"))
            phone.wait("!document.getElementById('text').hidden || !document.getElementById('task').hidden", "nothing on a phone")
            width = phone.js("document.documentElement.scrollWidth")
            if width > 360:
                fail(f"the page is {width} wide on a phone of 360")
            phone.shot(f"{folder}/phone-{'dark' if dark else 'light'}.png")
        finally:
            phone.close()
    print("phone: fits")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])

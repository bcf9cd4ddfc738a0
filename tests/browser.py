"""A page in headless Chromium, driven over the DevTools protocol: what a reader with a mouse would see and do.

    with open_page(path, width=390) as page:
        page.mouse_move(100, 80)
        assert page.evaluate("document.title") == "…" and not page.errors and not page.outside

Chromium speaks the protocol on two file descriptors (--remote-debugging-pipe), so no port and no package is needed.
Protocol: https://chromedevtools.github.io/devtools-protocol/ (domains Page, Runtime, Log, Network, Input, Emulation).
"""
import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
TIMEOUT = 60                                            # seconds for any one answer, on a busy machine too
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
           "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe"]
# Chromium reads on descriptor 3 and writes on 4: a program between us and it puts our socket there.
LAUNCH = "import os, sys; n = int(sys.argv[1]); os.dup2(n, 3); os.dup2(n, 4); os.execv(sys.argv[2], sys.argv[2:])"
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, "Escape": 27, "Tab": 9,
        "Home": 36, "End": 35, "PageUp": 33, "PageDown": 34, " ": 32}


@contextlib.contextmanager
def open_page(path, width=1280, height=800, dark=False, fragment=""):
    """Open a file in a browser of its own and yield its Page once it has loaded; skip where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    ours, theirs = socket.socketpair()
    # Chromium writes to its profile for a moment after it was told to go
    with ours, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(theirs.fileno()), CHROMIUM, *OPTIONS,
                 f"--user-data-dir={profile}", "about:blank"],
                pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "HOME": profile})
        try:
            page = Page(ours, width, height, dark)
            page.go(Path(path).resolve().as_uri() + fragment)
            yield page
        finally:
            process.kill()
            process.wait()


class Page:
    """One tab: `errors` is what the console complained of, `requests` each address that was asked for."""

    def __init__(self, connection, width, height, dark):
        connection.settimeout(TIMEOUT)
        self.connection, self.buffer, self.number, self.session = connection, b"", 0, None
        self.errors, self.requests, self.loads = [], [], 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def go(self, address):
        """Load an address and wait until everything that it names is there."""
        before = self.loads
        answer = self.call("Page.navigate", url=address)
        if "errorText" in answer:
            raise OSError(f"{address}: {answer['errorText']}")
        while "loaderId" in answer and self.loads == before:    # without a loader only the #fragment changed
            self.listen()

    def call(self, method, **params):
        """Ask for a method of the protocol and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.connection.sendall(json.dumps(message).encode() + b"\0")
        while (answer := self.listen()).get("id") != self.number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def listen(self):
        """Return the next message, noted down where it is an event."""
        while b"\0" not in self.buffer:
            received = self.connection.recv(1 << 20)
            if not received:
                raise ConnectionError("Chromium has gone: start it by hand to see why")
            self.buffer += received
        message, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(message)
        self.note(message.get("method"), message.get("params", {}))
        return message

    def note(self, event, params):
        if event == "Runtime.exceptionThrown":
            detail = params["exceptionDetails"]
            self.errors.append(detail.get("exception", {}).get("description", detail["text"]))
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event == "Page.loadEventFired":
            self.loads += 1

    @property
    def outside(self):
        """The requests that left the machine's own files."""
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:", "about:"))]

    def evaluate(self, js):
        """Return the value of an expression in the page, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=js, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{js}: {answer['exceptionDetails'].get('exception', {}).get('description')}")
        return answer["result"].get("value")

    def wait_for(self, js):
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + TIMEOUT
        while not (value := self.evaluate(js)):
            if time.monotonic() > end:
                raise TimeoutError(f"never came true in {TIMEOUT} s: {js}")
            time.sleep(0.05)
        return value

    def mouse_move(self, x, y):
        """Move the pointer to (x, y), in CSS pixels of the viewport."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x, y):
        self.mouse_move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name):
        """Press a key by its DOM name: "ArrowRight", "Escape", "a"."""
        code = KEYS.get(name, ord(name[0].upper()))
        press = dict(key=name, code=name, windowsVirtualKeyCode=code, **({"text": name} if len(name) == 1 else {}))
        self.call("Input.dispatchKeyEvent", type="keyDown", **press)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=code)

    def screenshot(self, path, full=False):
        """Write the viewport as PNG, or the whole height of the page."""
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full,
                            **({"clip": self.extent()} if full else {}))
        Path(path).write_bytes(base64.b64decode(picture["data"]))

    def extent(self):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

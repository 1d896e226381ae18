"""A page in headless Chromium, driven by its DevTools protocol over a pipe: no package and no port is needed.

with Browser() as browser:
    page = browser.open(path, width=1280)
    assert page.evaluate("document.title") == "…"
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
OPTIONS += ["--remote-debugging-pipe"]
needed = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed (apt-get install chromium)")


class Browser:
    """A Chromium of its own profile, which ends with the block."""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="chromium")
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        # the browser reads descriptor 3 and writes to 4; the shell puts ours there
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "chromium", PROGRAM, *OPTIONS]
            + [f"--user-data-dir={self.profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.sent, self.rest, self.events = 0, b"", []
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        """Result of a command; what happens meanwhile is kept in `events`."""
        self.sent += 1
        message = {"id": self.sent, "method": method, "params": parameters}
        os.write(self.out, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") != self.sent:
                self.events.append(answer)
            elif "error" in answer:
                raise AssertionError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def wait(self, event):
        """Until an event has happened."""
        while not any(e.get("method") == event for e in self.events):
            self.events.append(self._read())

    def _read(self):
        while b"\0" not in self.rest:
            more = os.read(self.into, 1 << 20)
            assert more, "Chromium has ended"
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, path, width=1280, height=900, scripts=True):
        """A page of a file, as wide as asked for; without scripts if these are not wanted."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        page.call("Page.enable")
        page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.resize(width, height)
        self.events.clear()
        page.call("Page.navigate", url=Path(path).resolve().as_uri())
        self.wait("Page.loadEventFired")
        return page


class Page:
    """One page of a browser."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression):
        """Value of a JavaScript expression, or of the promise that it is."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def resize(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, media="", scheme="light"):
        """Show it as on paper (media="print") or in the colours of a dark desktop (scheme="dark")."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)

    def press(self, key, code=0, modifiers=0):
        """Press and release a key, such as "Tab" (code 9)."""
        key = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        text = {"text": "\r"} if key["key"] == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)

    def screenshot(self, path, whole=True):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, path):
        made = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        Path(path).write_bytes(base64.b64decode(made["data"]))

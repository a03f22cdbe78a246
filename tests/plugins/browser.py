"""A browser driven like a reader does: chromedriver, by the WebDriver protocol.

https://www.w3.org/TR/webdriver2/ ; clicks and keys are real events, which only elements that
can be seen take.
"""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from urllib.error import HTTPError, URLError

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """An open window."""

    def __init__(self, address):
        self._address = address

    def _ask(self, method, path, **body):
        request = urllib.request.Request(
            f"{self._address}/{path}".rstrip("/"), method=method,
            data=json.dumps(body).encode() if method == "POST" else None,
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except HTTPError as error:
            with error:
                said = json.load(error)["value"]
            raise RuntimeError(f"{path}: {said['error']}: {said['message']}") from None

    def open(self, address):
        """Load a page."""
        self._ask("POST", "url", url=address)

    def find(self, selector):
        """Return the elements that a CSS selector names."""
        found = self._ask("POST", "elements", using="css selector", value=selector)
        return [one[_ELEMENT] for one in found]

    def text(self, element):
        """Return the text of an element that a reader sees."""
        return self._ask("GET", f"element/{element}/text")

    def click(self, element):
        """Click on an element; an error if another one lies over it."""
        self._ask("POST", f"element/{element}/click")

    def type(self, element, text):
        """Type into an element."""
        self._ask("POST", f"element/{element}/value", text=text)

    def clear(self, element):
        """Empty a field."""
        self._ask("POST", f"element/{element}/clear")

    def ask(self, script):
        """Return what a script returns in the open page."""
        return self._ask("POST", "execute/sync", script=script, args=[])

    def title(self):
        """Return the title of the open page."""
        return self._ask("GET", "title")

    def back(self):
        """Go back to the page before."""
        self._ask("POST", "back")

    def links(self):
        """Return the addresses that the links of the open page lead to, whole and in order."""
        return self.ask("return [...document.querySelectorAll('a[href]')].map(a => a.href)")

    def broken_pictures(self):
        """Return the labels of pictures that are there and do not show."""
        return self.ask(
            "const all = [...document.images]; all.forEach(one => { one.loading = 'eager' });"
            "return Promise.all(all.map(one => one.decode().then(() => null, () => one.alt)))"
            ".then(labels => labels.filter(one => one !== null))"
        )

    def errors(self):
        """Return what the browser logged as an error: of scripts, or of files not found."""
        return [one for one in self._ask("POST", "se/log", type="browser")
                if one["level"] == "SEVERE"]  # fmt: skip

    def quit(self):
        """Close the window."""
        self._ask("DELETE", "")


@contextmanager
def open_browser(folder, size="1400,1000"):
    """Give a browser without a screen; skip the test where there is none to drive."""
    chrome = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if chrome is None or driver is None:
        pytest.skip(f"needs chromedriver and a browser, one of {', '.join(BROWSERS)}")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update",
                 "--disable-sync", f"--window-size={size}",
                 f"--user-data-dir={folder / 'profile'}"]  # fmt: skip
    wanted = {"goog:chromeOptions": {"binary": chrome, "args": arguments},
              "goog:loggingPrefs": {"browser": "ALL"}}  # fmt: skip
    with (folder / "chromedriver.log").open("w") as log:
        process = subprocess.Popen([driver, f"--port={port}"], stdout=log, stderr=log)
        try:
            server = Browser(f"http://localhost:{port}")
            for _ in range(600):
                try:
                    server._ask("GET", "status")
                    break
                except URLError:
                    time.sleep(0.1)
            session = server._ask("POST", "session", capabilities={"alwaysMatch": wanted})
            browser = Browser(f"http://localhost:{port}/session/{session['sessionId']}")
            try:
                yield browser
            finally:
                browser.quit()
        finally:
            process.terminate()
            process.wait(30)

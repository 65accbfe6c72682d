"""What tests of the page share: `facesearch web` as a process, and a browser that sees what a user sees."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

BROWSER = "FACESEARCH_TEST_CHROMIUM"  # where it is
SCREENSHOTS = "FACESEARCH_TEST_SCREENSHOTS"  # the folder to leave them in
_KNOWN = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S*")
PATIENCE = 60  # seconds for a server, and for a page to show what is waited for, on a machine with much other work

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}


def chromium() -> str:
    """The path of a browser that is there. Skips the test where there is none; one that is named must be there."""
    if named := os.environ.get(BROWSER):
        return named
    for name in _KNOWN:
        if (found := shutil.which(name)) and not _is_snap(Path(found)):
            return found
    pytest.skip(f"there is no Chromium here; name one by {BROWSER}")


def _is_snap(path: Path) -> bool:
    """Ubuntu's package is a script that asks for a snap, which sees neither other programs' pipes nor /tmp."""
    if path.resolve().is_relative_to("/snap"):
        return True
    return path.stat().st_size < 10_000 and b"/snap/bin/" in path.read_bytes()


@contextmanager
def browsing() -> Iterator["Browser"]:
    """A browser, for as long as it is needed. As root Chromium runs without its sandbox only."""
    path = chromium()
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * PATIENCE)  # its own, 5 seconds, is that of a machine with nothing else to do
    options = [*_OPTIONS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Served:
    """`facesearch web` in a process of its own, which can be killed and started again at the same port."""

    def __init__(self, gallery: str, *words: str) -> None:
        self.gallery, self.port, self._words = gallery, free_port(), words
        self.errors: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it, and waits until it says its address. The address lets one browser in."""
        command = [str(Path(sys.executable).with_name("facesearch")), "web", "-g", self.gallery]
        command += ["--port", str(self.port), "--no-browser", *self._words]
        piped = subprocess.PIPE
        self._process = subprocess.Popen(command, stdout=piped, stderr=piped, text=True, errors="replace")
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        self.address = self._said(self._process)

    def kill(self) -> None:
        """As a crash does it: at once, whatever it is doing."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As Ctrl-C does it; the exit code."""
        return self._end(signal.SIGINT)

    def _end(self, sign: signal.Signals) -> int:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(sign)
        return self.ended()

    def ended(self) -> int:
        """Waits for its end; the exit code."""
        assert self._process is not None
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        self.errors.extend(process.stderr)

    def _said(self, process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        giving_up = threading.Timer(PATIENCE, process.kill)
        giving_up.start()
        said = ""
        for line in process.stdout:
            said += line
            if found := _ADDRESS.search(line):
                giving_up.cancel()
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return found.group()
        giving_up.cancel()
        pytest.fail(f"facesearch web ended early: {said} {''.join(self.errors)}")


@contextmanager
def serving(gallery: str, *words: str) -> Iterator[Served]:
    """The page of a gallery, for as long as it is needed."""
    served = Served(gallery, *words)
    try:
        yield served
    finally:
        served.kill()


class Watched:
    """What a browser does that it should not: errors in its console, what it asks of other hosts, what its policy
    forbade."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.complaints: list[str] = []
        self.expected = ""  # what a browser may complain about, where a test brings it about

    def watch(self, page: "Page") -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._asked)

    def _heard(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning") and not (self.expected and self.expected in message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: "Request") -> None:
        if not request.url.startswith((self.origin, "data:", "blob:" + self.origin)):
            self.complaints.append(f"asked of another host: {request.url}")


def entered(context: "BrowserContext", served: Served, watched: Watched | None = None) -> "Page":
    """A page of this context, let in by the address that the server printed."""
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    if watched:
        watched.watch(page)
    page.goto(served.address)
    return page

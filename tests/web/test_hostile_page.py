"""A hostile page in the user's own browser, at another port of the same machine, while the page is in use: the
browser takes both for one site."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.made_galleries import group, made
from tests.web.raw import Client
from tests.web.trial import browsing, serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PAGE = b"""<!doctype html><title>hostile</title><img id="picture"><iframe id="frame"></iframe>
<form id="form" method="post" enctype="text/plain">
<input name='{"people": [1], "hidden": true, "x": "' value='"}'>
</form>"""
_FETCH = """async ([address, method, kind, mode]) => {
  const body = method == "POST" ? '{"people": [1], "hidden": true}' : undefined;
  const headers = kind ? {"Content-Type": kind} : {};
  try {
    const answer = await fetch(address, {method, mode, headers, body, credentials: "include"});
    return await answer.text();
  } catch (error) { return "nothing"; }
}"""
_PICTURE = """address => new Promise(done => {
  const picture = document.getElementById("picture");
  picture.onload = () => done("seen");
  picture.onerror = () => done("nothing");
  picture.src = address;
})"""
_SOCKET = """address => new Promise(done => {
  const socket = new WebSocket(address);
  socket.onopen = () => done("open");
  socket.onerror = () => done("nothing");
})"""
_WINDOW = """address => new Promise(done => {
  const other = window.open(address);
  const look = () => {
    if (other.closed) return done("cut off");
    try {
      if (other.document.title != "") return done(other.document.title);
    } catch (error) { return done("no access"); }
    setTimeout(look, 20);
  };
  look();
})"""


class _Hostile(BaseHTTPRequestHandler):
    """Answers everything with the hostile page, and keeps the cookies that come."""

    def do_GET(self) -> None:
        self.server.cookies.append(self.headers["Cookie"] or "")  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def _hostile() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hostile) as server:
        server.cookies = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _tries(page: "Page", origin: str) -> None:
    hide, picture = f"{origin}/api/people/hide", f"{origin}/api/faces/1/image"
    for mode in ("cors", "no-cors"):
        assert page.evaluate(_FETCH, [f"{origin}/api/people?list=groups", "GET", "", mode]) == "nothing"
        for kind in ("application/json", "text/plain", "image/jpeg"):
            assert page.evaluate(_FETCH, [hide, "POST", kind, mode]) == "nothing"
    assert page.evaluate(_PICTURE, picture) == "nothing"
    assert page.evaluate(_PICTURE, f"{origin}/static/icon.svg") == "nothing"
    assert page.evaluate(_SOCKET, origin.replace("http", "ws") + "/people") == "nothing"
    assert page.evaluate(_WINDOW, f"{origin}/people") in ("cut off", "no access")
    with page.expect_response(f"{origin}/people") as framed:
        page.evaluate("address => { document.getElementById('frame').src = address }", f"{origin}/people")
    assert framed.value.status == 403
    page.evaluate("address => { document.getElementById('form').action = address }", hide)
    with page.expect_navigation():
        page.evaluate("document.getElementById('form').submit()")
    assert json.loads(page.inner_text("body"))["error"] == "foreign"


def test_a_hostile_page_at_another_port_reads_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path / "home"))
    group(made(photos=["a.jpg", "b.jpg"]), [1, 2])
    with browsing() as browser, serving("default") as served, _hostile() as hostile, browser.new_context() as context:
        page = context.new_page()
        page.goto(served.address)
        page.goto(f"http://127.0.0.1:{hostile.server_port}/")
        (cookie,) = {each for each in hostile.cookies if each}  # type: ignore[attr-defined]
        _tries(page, served.origin)
        given = Client(served.port, (f"Cookie: {cookie}",)).get("/api/people?list=hidden")
        assert (given.status, json.loads(given.body)["total"]) == (200, 0)

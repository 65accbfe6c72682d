"""The page in a browser, seen from outside: when the first faces are there, how it scrolls, how soon a key
answers."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import memory

from tests.web_trial import DESK, Served, entered

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMED = (60, 100)  # groups in a row, by keys
_SECONDS = 3  # of scrolling
_A_FRAME = 2137  # pixels, as a wheel that is spun

# The grid may scroll by itself or with the document.
_SCROLLER = """
let scroller = document.querySelector('[role=grid]');
const scrolls = (element) =>
  element.scrollHeight > element.clientHeight && /auto|scroll/.test(getComputedStyle(element).overflowY);
while (scroller && !scrolls(scroller)) scroller = scroller.parentElement;
scroller ??= document.scrollingElement;
"""
_SCROLLED = (
    "async ([seconds, step]) => {"
    + _SCROLLER
    + """
  const nodes = () => document.querySelectorAll('[role=grid] *').length;
  let frames = 0, worst = 0, most = 0;
  const began = performance.now();
  let last = began;
  return new Promise((done) => {
    const draw = (now) => {
      frames += 1;
      worst = Math.max(worst, now - last);
      last = now;
      most = Math.max(most, nodes());
      scroller.scrollTop = (scroller.scrollTop + step) % (scroller.scrollHeight - scroller.clientHeight);
      if (now - began < 1000 * seconds) requestAnimationFrame(draw);
      else done([frames / ((now - began) / 1000), worst, most]);
    };
    requestAnimationFrame(draw);
  });
}"""
)
_FIRST_FACES = """() => new Promise((done) => {
  const look = () => {
    const images = [...document.querySelectorAll('[role=grid] img')];
    if (images.filter((image) => image.complete && image.naturalWidth > 1).length >= 6) done(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""
_KEY_TO_PAINT = """(key) => new Promise((done) => {
  const began = performance.now();
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


def measure_browser(browser: "Browser", served: Served) -> Iterator[tuple[str, float]]:
    """What was measured, and its figure; of a server that has just started."""
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    started = time.perf_counter()
    page = entered(context, served)
    yield "from the address to six faces of the first page, ms", page.evaluate(_FIRST_FACES)
    yield "... and the way through the one-time address, ms", 1000 * (time.perf_counter() - started)
    page.reload()
    yield "the same once more, ms", page.evaluate(_FIRST_FACES)
    with memory.watched(served.pid) as most:
        frames, worst, nodes = page.evaluate(_SCROLLED, [_SECONDS, _A_FRAME])
    yield "scrolling fast, frames a second", frames
    yield "... the longest frame, ms", worst
    yield "... elements in the grid at most", nodes
    yield "memory of the page's script, MB", _heap(page) / 1e6
    yield "memory of the server and its decoders, MB", most[0] / 1e6
    context.close()


def _heap(page: "Page") -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    found: dict[str, Any] = session.send("Runtime.getHeapUsage")
    return float(found["usedSize"])

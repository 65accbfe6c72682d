"""The page in a browser, seen from outside: when the first faces are there, how it scrolls, how soon a key
answers."""

import statistics
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import memory

from tests.web.trial import DESK, Served, entered

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMED = (60, 100)  # groups in a row, by keys
_ARROWS = 100  # pressed before
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
# What a browser itself says of keys: from the press to the next frame, in steps of 8 ms, those below 16 left out.
_LISTEN = """() => {
  window.keysHeard = [];
  new PerformanceObserver((list) => window.keysHeard.push(
    ...list.getEntries().filter(({ name }) => name === 'keydown').map(({ duration }) => duration)
  )).observe({ type: 'event', durationThreshold: 16 });
}"""
_UNHEARD_MS = 16.0


def measure_browser(browser: "Browser", served: Served, round_: int) -> Iterator[tuple[str, float]]:
    """What was measured, and its figure; of a server that has just started."""
    context = browser.new_context(viewport=DESK)  # type: ignore[arg-type]
    started = time.perf_counter()
    page = entered(context, served)
    yield "from the address to six faces of the first page, ms", page.evaluate(_FIRST_FACES)
    yield "... and the way through the one-time address, ms", 1000 * (time.perf_counter() - started)
    page.reload()
    yield "the same once more, ms", page.evaluate(_FIRST_FACES)
    computing = _Computing(page)
    with memory.watched(served.pid) as most:
        frames, worst, nodes = page.evaluate(_SCROLLED, [_SECONDS, _A_FRAME])
    computed = computing.milliseconds()
    yield "scrolling fast, frames a second", frames
    yield "... the longest frame, ms", worst
    yield "... what the page computes for a frame, ms of a processor", computed / (frames * _SECONDS)
    yield "... elements in the grid at most", nodes
    yield "memory of the page's script, MB", _heap(page) / 1e6
    yield "memory of the server and its decoders, MB", most[0] / 1e6
    yield from _keys(page, computing, round_)
    context.close()


class _Computing:
    """How long the page's own thread computes, whatever else the machine does."""

    def __init__(self, page: "Page") -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._before = self._now()

    def milliseconds(self) -> float:
        """Since it was last asked."""
        before, self._before = self._before, self._now()
        return 1000 * (self._before - before)

    def _now(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


def _keys(page: "Page", computing: _Computing, round_: int) -> Iterator[tuple[str, float]]:
    page.evaluate("document.querySelector('[role=grid]').scrollTop = 0")
    page.evaluate(_LISTEN)
    pressed = 0
    page.get_by_role("button", name="Groups").click()
    for _ in range(_ARROWS):
        page.keyboard.press("ArrowRight")
    for count in _NAMED:
        page.get_by_role("button", name="Groups").click()  # the largest that is left
        before = _named(page)
        computing.milliseconds()
        started = time.perf_counter()
        for i in range(count):
            page.keyboard.press("Enter")
            page.keyboard.insert_text(f"Somebody {round_} {count} {i}")  # a user's fingers are not what is measured
            page.keyboard.press("Enter")
            pressed += 2
        page.locator("#saving").wait_for(state="hidden")
        yield f"{count} groups named by keys and saved, s", time.perf_counter() - started
        if _named(page) != before + count:
            raise RuntimeError(
                f"{_named(page) - before} of {count} were named: {page.locator('#notices').inner_text()}"
            )
        yield f"... what the page computes for each of {count}, ms of a processor", computing.milliseconds() / count
    heard = sorted(page.evaluate("window.keysHeard"))
    heard = [_UNHEARD_MS] * (pressed + _ARROWS - len(heard)) + heard
    yield "a key to the next frame, median, ms (16 and less count as 16)", statistics.median(heard)
    yield "... 99 of 100 within, ms", heard[int(0.99 * len(heard))]
    yield "... the longest, ms", heard[-1]


def _named(page: "Page") -> int:
    answer = page.context.request.get(f"{page.url.split('/people')[0]}/api/people?list=named")
    return int(answer.json()["total"])


def _heap(page: "Page") -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    found: dict[str, Any] = session.send("Runtime.getHeapUsage")
    return float(found["usedSize"])

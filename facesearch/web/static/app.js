// Starts the page: one document, whose views are shown by address.

import { ApiError, get, wasAborted } from "./frame/api.js";
import { button, fill, h } from "./frame/dom.js";
import { findBox, focusFind } from "./frame/find.js";
import { draw, gallery, markPage, showHelp } from "./frame/frame.js";
import { addKeys, useKeys } from "./frame/keys.js";
import { failure } from "./frame/notices.js";
import { forgetView, undoLast } from "./frame/queue.js";
import { keepPlace, onAddress } from "./frame/router.js";
import { begin } from "./frame/state.js";
import { errors, frame, help } from "./texts.js";

const VIEWS = [
  [/^\/people$/, "people", () => import("./people/people.js")],
  [/^\/people\/(\d+)$/, "people", () => import("./people/person.js")],
  [/^\/questions$/, "questions", () => import("./questions/questions.js")],
  [/^\/photos\/(\d+)$/, "people", () => import("./photo/photo.js")],
  [/^\/search$/, "search", () => import("./search/search.js")],
  [/^\/log$/, "log", () => import("./log/log.js")],
  [/^\/gallery$/, "gallery", () => import("./gallery/gallery.js")],
];

const ASKS_MS = 1_000; // whether the server is back, while a page waits for it
const AHEAD_MS = 1_500; // the first page goes before

const main = draw(findBox());
let view = null;
let turn = 0;

async function show({ path, query, place, isFirst }) {
  const mine = ++turn;
  view?.unmount?.();
  view = null;
  forgetView();
  useKeys([]);
  fill(main);
  main.className = "";
  const [id, page, load] = viewOf(path);
  markPage(page);
  try {
    const loaded = await load().catch(unread);
    if (mine !== turn) return;
    view = loaded;
    const mounted = loaded.mount(main, { path, id, query, place });
    arrive(isFirst);
    await mounted;
    if (mine === turn) settle(place);
  } catch (error) {
    if (mine === turn && !wasAborted(error)) showError(error, () => showAgain(mine, { path, query }));
  }
}

// A view whose module does not come: the server is away.
function unread(error) {
  throw error instanceof TypeError ? new ApiError("lost", 0, errors.lost) : error;
}

/** Reads the modules of all pages, so that each can be shown while the server is away. */
function readAhead() {
  for (const [, , load] of VIEWS) load().catch(() => {});
}

/** Title and focus go to the heading of what is shown; the first page leaves the focus where the browser has it. */
function arrive(isFirst) {
  const heading = main.querySelector("h1");
  if (!heading) return;
  document.title = frame.title(heading.textContent, gallery);
  heading.tabIndex = -1;
  if (!isFirst && !main.contains(document.activeElement)) heading.focus({ preventScroll: true });
}

function settle(place) {
  const heading = main.querySelector("h1");
  if (heading) document.title = frame.title(heading.textContent, gallery);
  if (document.activeElement === document.body && heading) arrive(false);
  if (place?.scroll) main.scrollTop = place.scroll;
}

function viewOf(path) {
  for (const [pattern, page, load] of VIEWS) {
    const found = path.match(pattern);
    if (found) return [found[1] === undefined ? null : Number(found[1]), page, load];
  }
  return [null, "", async () => ({ mount: noPage })];
}

function noPage(place) {
  fill(place, h("div", { class: "empty" }, h("h1", {}, frame.noPage), toPeople()));
}

function toPeople() {
  return h("a", { class: "button main", href: "/people" }, frame.toPeople);
}

function showAgain(mine, { path, query }) {
  if (mine === turn) show({ path, query, place: history.state });
}

function showError(error, again) {
  const message = error.name === "ApiError" ? error.message : errors.page(error.message);
  const retry = button(frame.retry, again, { kind: "main" });
  const isGone = error.status === 404; // to ask once more cannot help
  fill(main, h("div", { class: "empty" }, h("h1", {}, message), isGone ? toPeople() : retry));
  arrive(false);
  if (error.kind === "lost") whenBack(turn, again);
}

async function whenBack(mine, act) {
  let isBack = false;
  while (!isBack && mine === turn) {
    await new Promise((done) => setTimeout(done, ASKS_MS));
    isBack = await get("/api/state").then(() => true, () => false);
  }
  act();
}

let scrolling = 0;
main.addEventListener("scroll", (event) => {
  if (event.target !== main) return;
  clearTimeout(scrolling);
  scrolling = setTimeout(() => keepPlace({ scroll: main.scrollTop }), 300);
});

addKeys([
  { key: "/", words: help.find, run: focusFind },
  { key: "u", shown: "U", words: help.undo, run: undoLast },
  { key: "?", words: help.thisHelp, run: showHelp },
]);

window.addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof ApiError)) return;
  event.preventDefault();
  failure(event.reason, { slot: "call" });
});

onAddress(show);
begin().then(() => setTimeout(readAhead, AHEAD_MS));

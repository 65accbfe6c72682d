// What stands around every page: the skip link, the bar with the pages and their counts, and the help.

import { frame, help, number } from "../texts.js";
import { get } from "./api.js";
import { shown } from "./dialogs.js";
import { button, fill, h, isolated } from "./dom.js";
import { areOn, keysNow, switchKeys } from "./keys.js";
import { bannerPlace, regions } from "./notices.js";
import { canUndo, onPending, pending, reading, undoLast } from "./queue.js";
import { watch } from "./state.js";

const FIRST_MS = 400; // after the first state: the faces go before, the facts of a large gallery take a while
const QUIET_MS = 2_000;

/** The pages of the bar, by the first word of their address. */
export const PAGES = ["people", "questions", "search", "log", "gallery"];

const counts = Object.fromEntries(PAGES.map((page) => [page, h("span", { class: "count", hidden: true })]));
const links = Object.fromEntries(PAGES.map((page) => [page, linkTo(page)]));
const saving = h("span", { id: "saving", hidden: true });

const running = h("span", { class: "count running", hidden: true });
links.gallery.append(running);
let isCounted = false;

const undoing = button("↶", undoLast, { kind: "quiet icon", label: frame.undoLast, disabled: !canUndo() });

/** The gallery's name. */
export const gallery = document.body.dataset.gallery;

/** Draws the frame into the document and gives the place of the page. */
export function draw(findBox) {
  const main = h("main", { id: "main", tabindex: "-1" });
  const nav = h("nav", { class: "pages", "aria-label": frame.pages }, ...Object.values(links));
  const helping = button("?", showHelp, { kind: "quiet icon", label: frame.help });
  const home = h("a", { class: "brand", href: "/people", "aria-label": frame.home(gallery) }, isolated(gallery));
  const bar = h("header", { class: "bar" }, home, nav, saving, undoing, findBox, helping);
  const skip = h("a", { class: "skip", href: "#main", on: { click: skipping(main) } }, frame.skip);
  fill(document.body, skip, bar, bannerPlace, main, ...regions);
  onPending(showSaving);
  showSaving(pending());
  watch(({ run }) => {
    showRun(run);
    recount();
  });
  return main;
}

/** Marks the page of the bar that is shown. */
export function markPage(page) {
  for (const [name, link] of Object.entries(links)) {
    if (name === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** What keys there are, as a dialog. */
export function showHelp() {
  const { ofView, always } = keysNow();
  return shown(help.title, (close) => [
    ofView.length > 0 && h("h3", {}, help.ofPage),
    ofView.length > 0 && listOf(ofView),
    h("h3", {}, help.everywhere),
    listOf(always),
    h("p", {}, help.buttons),
    lettersSwitch(),
    h("div", { class: "dialog-choices" }, button(frame.close, () => close(null), { kind: "main" })),
  ]);
}

function linkTo(page) {
  return h("a", { href: `/${page}`, class: `page-link ${page}` }, h("span", {}, frame[page]), counts[page]);
}

function listOf(keys) {
  const rows = keys.map((each) => [h("dt", {}, h("kbd", {}, each.shown ?? each.key)), h("dd", {}, each.words)]);
  return h("dl", { class: "keys" }, ...rows.flat());
}

function lettersSwitch() {
  const box = h("input", { type: "checkbox", checked: areOn(), on: { change: () => switchKeys(box.checked) } });
  return h("label", { class: "switch" }, box, h("span", {}, help.letters, h("small", {}, help.lettersWhy)));
}

function skipping(main) {
  return (event) => {
    event.preventDefault();
    (main.querySelector("h1") ?? main).focus();
  };
}

function showSaving(left) {
  undoing.disabled = !canUndo();
  saving.hidden = left === 0;
  saving.textContent = left ? frame.saving(left) : "";
}

/** How far a run that indexes photos is, whichever process it is in: beside the page that tells more. */
function showRun(run) {
  const isRunning = Boolean(run) && !run.ended;
  running.hidden = !isRunning;
  if (!isRunning) return;
  running.textContent = run.total ? frame.indexed(Math.floor((100 * run.done) / run.total)) : frame.indexing;
}

let timer = 0;

/** Counts anew once nothing has changed for a while: where many are named in a row, the server has that to do. */
function recount() {
  clearTimeout(timer);
  timer = setTimeout(count, isCounted ? QUIET_MS : FIRST_MS);
}

async function count() {
  if (pending()) return recount();
  const knewAll = reading();
  try {
    const [facts, named] = await Promise.all([get("/api/gallery"), get("/api/people", { list: "named", n: 1 })]);
    if (!knewAll()) return recount();
    isCounted = true;
    showCount("people", named.total); // as the page of people counts them: without those who are hidden
    showCount("questions", facts.questions);
    showCount("gallery", facts.failures?.length);
  } catch {
    // the counts stay as they are; the banner says where the server is lost
  }
}

/** Shows a number beside a page of the bar; none for 0. The page itself says it ahead of the server. */
export function showCount(page, n) {
  counts[page].hidden = !n;
  counts[page].textContent = n ? number(n) : "";
}

// The log: every change in words, the newest first, each of which can be taken back.

import { get } from "../frame/api.js";
import { button, fill, h, isolated } from "../frame/dom.js";
import { failure, notice, say } from "../frame/notices.js";
import { facePicture } from "../frame/pictures.js";
import { send } from "../frame/queue.js";
import { keepPlace } from "../frame/router.js";
import { watch } from "../frame/state.js";
import { logTexts as texts } from "../texts.js";

const PART = 50;
const AT_ONCE = 200; // changes of one call
const TURNS = new Set(["undo", "redo"]); // their words are the number of the change that they are about

class Log {
  #changes = [];
  #isAll = false;
  #loading = null;
  #refreshing = null;
  #isOld = false;
  #inTheWay = new Map(); // by change: what stands in the way of taking it back

  constructor(main) {
    this.list = h("div", { class: "log-days" });
    this.older = button(texts.older, () => this.more().catch(failure));
    this.older.hidden = true;
    const head = h("div", { class: "log-head" }, h("h1", { tabindex: "-1" }, texts.title), h("p", { class: "quiet-text" }, texts.lead));
    fill(main, h("div", { class: "page log-page" }, head, this.list, this.older));
    const isSeen = (entries) => entries.some((each) => each.isIntersecting);
    const more = (entries) => isSeen(entries) && this.more().catch(failure);
    this.seen = new IntersectionObserver(more, { root: main, rootMargin: "600px" });
    this.seen.observe(this.older);
  }

  /** Reads the changes that are older than those shown. */
  more(n = PART) {
    if (this.#isAll) return Promise.resolve();
    this.#loading ??= this.#more(n).finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #more(n) {
    const before = this.#changes.at(-1)?.change ?? null;
    const { changes } = await get("/api/log", { n, before });
    this.#changes.push(...changes);
    this.#isAll = changes.length < n;
    if (before) keepPlace({ shown: this.#changes.length });
    this.#draw();
  }

  /** Reads anew what is shown, once more where it is called meanwhile. */
  refresh() {
    this.#isOld = true;
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #refresh() {
    while (this.#isOld) {
      this.#isOld = false;
      await this.#readAgain();
      this.#draw();
    }
  }

  // In parts, down to the last one shown: what is taken back may be far below.
  async #readAgain() {
    const last = this.#changes.at(-1)?.change ?? 0;
    const read = [];
    let isEnd = false;
    let n = Math.min(AT_ONCE, Math.max(PART, this.#changes.length + 1)); // the undo that has just come is one more
    do {
      const { changes } = await get("/api/log", { n, before: read.at(-1)?.change });
      read.push(...changes);
      if (changes.length < n) isEnd = true;
      n = AT_ONCE;
    } while (!isEnd && read.at(-1).change > last);
    this.#isAll ||= isEnd;
    const oldest = read.at(-1)?.change ?? 0;
    this.#changes = [...read, ...this.#changes.filter((each) => each.change < oldest)];
  }

  #draw() {
    const held = document.activeElement?.closest("[data-change]")?.dataset.change;
    this.older.hidden = this.#isAll;
    const days = Map.groupBy(this.#changes, (each) => texts.dayOf(each.at));
    fill(
      this.list,
      this.#changes.length === 0 && h("p", { class: "empty" }, texts.empty),
      [...days].flatMap(([day, changes]) => [
        h("h2", { class: "log-day" }, day),
        h("ol", { class: "log-list" }, changes.map((each) => this.#row(each))),
      ]),
    );
    if (held) this.list.querySelector(`[data-change="${held}"] button, [data-change="${held}"]`)?.focus({ preventScroll: true });
  }

  #row(change) {
    const { change: id, undone_at: undone } = change;
    const words = this.#sentence(change);
    const note = this.#noteOf(id);
    return h(
      "li",
      { class: `log-row card${undone ? " undone" : ""}`, "data-change": id, tabindex: "-1" },
      h("div", { class: "log-words" }, h("p", {}, linked(words)), h("p", { class: "quiet-text" }, texts.facts(change))),
      undone ? h("span", { class: "badge" }, texts.undone) : this.#button(change, words),
      note && this.#blocked(note),
    );
  }

  // What stands in the way of taking a change back, while it holds.
  #noteOf(id) {
    const note = this.#inTheWay.get(id);
    if (note && this.#changes.find((each) => each.change === note.blocking)?.undone_at) this.#inTheWay.delete(id);
    return this.#inTheWay.get(id);
  }

  // What an undo took back, or was done again, is said in words, where that change is listed.
  #sentence(change) {
    const about = this.#about(change);
    return about ? texts.turned(change.verb, texts.sentence(about)) : texts.sentence(change);
  }

  #about({ verb, words }) {
    return TURNS.has(verb) ? this.#changes.find((each) => String(each.change) === words) : undefined;
  }

  #button(change, words) {
    if (change.made_by === "auto") return h("span", { class: "quiet-text" }, texts.computed);
    const verb = change.verb === "undo" ? texts.again : texts.undo;
    return button(verb, () => this.#undo(change, words), { label: texts.undoOf(verb, change.change, words) });
  }

  #undo(row, words) {
    const { change, verb } = row;
    const about = this.#about(row);
    const done = texts.turned(verb === "undo" ? "redo" : "undo", about ? texts.sentence(about) : words);
    this.#inTheWay.delete(change);
    return send({
      path: "/api/undo", body: { change }, words: done, isUndo: true,
      settle: (made) => this.#undone(change, made), decide: (error) => this.#refused(change, error),
    });
  }

  // The row says so at once; then all are read again, for an undo of an undo changes other rows, too.
  #undone(change, made) {
    const row = this.#changes.find((each) => each.change === change);
    if (row && made.change) row.undone_at ??= new Date().toISOString();
    this.#draw();
    this.refresh().catch(failure);
  }

  // 409: another change has to be taken back first, or this one holds no more.
  async #refused(change, error) {
    this.#inTheWay.set(change, { message: error.message, blocking: error.change ?? null });
    await this.refresh();
    const row = this.list.querySelector(`[data-change="${change}"]`);
    row?.scrollIntoView({ block: "nearest" });
    say(row?.querySelector(".log-blocked p")?.textContent ?? error.message);
    return null;
  }

  #blocked({ message, blocking }) {
    const other = this.#changes.find((each) => each.change === blocking);
    const words = blocking ? texts.blocked(blocking, other && this.#sentence(other)) : message;
    return h("div", { class: "log-blocked" }, h("p", {}, words), blocking && button(texts.showIt, () => this.#show(blocking)));
  }

  async #show(change) {
    while (!this.#isAll && this.#changes.at(-1)?.change > change) await this.more();
    const row = this.list.querySelector(`[data-change="${change}"]`);
    if (!row) return notice(texts.notListed(change));
    row.scrollIntoView({ block: "center" });
    (row.querySelector("button") ?? row).focus({ preventScroll: true });
    row.classList.add("pointed");
    return undefined;
  }
}

// A sentence whose people and photos are links and whose faces are seen.
function linked(words) {
  return words.split(/(@\d+|\bface \d+|\bphoto \d+)/).map((part) => {
    const [, person] = part.match(/^@(\d+)$/) ?? [];
    const [, face] = part.match(/^face (\d+)$/) ?? [];
    const [, photo] = part.match(/^photo (\d+)$/) ?? [];
    if (person) return isolated(h("a", { href: `/people/${person}` }, part), { dir: "ltr" });
    if (photo) return h("a", { href: `/photos/${photo}` }, part);
    return face ? h("span", { class: "log-face" }, facePicture(Number(face), { size: 32, lazy: true, alt: part })) : part;
  });
}

let unwatch = null;
let view = null;

/** Shows the log. */
export async function mount(main, { place }) {
  view = new Log(main);
  unwatch = watch((state, before) => before && state.version !== before.version && view?.refresh().catch(() => {}));
  await view.more(Math.min(AT_ONCE, place?.shown ?? PART)); // as far as the user had come before
}

/** Leaves it. */
export function unmount() {
  unwatch?.();
  view?.seen.disconnect();
  view = null;
}

// The name box: a combobox that completes names, the likeliest first. A name that somebody has is asked about: the same
// person, or another of that name?

import { faceImage, wasAborted } from "../frame/api.js";
import { button, fill, h, isolated, picture } from "../frame/dom.js";
import { count, naming } from "../texts.js";
import { fold, likeliest, loadNames, matching, namesakes } from "./names.js";

const SHOWN = 8;
const SHOWN_UNASKED = 4; // before a letter is typed
const REST_MS = 400; // somebody is looked at so long before it is asked who it may be
const ASK_AFTER_MS = 120; // without a key, the server is asked for what is not known here
let boxes = 0;

/**
 * @typedef {{name: string, id: number|null, same: boolean, other: boolean, shared?: boolean}} Taken
 * `id` is that of the person who was chosen; `same` and `other` are for POST .../name; several have a `shared` name.
 */

/** A name box. `take` gets a Taken, `leave` is called on Escape. */
export class NameBox {
  /**
   * @param {{label: string, take: (taken: Taken) => void, leave?: () => void, placeholder?: string,
   *   pickOnly?: boolean, hint?: boolean}} options `pickOnly`: only people who are there can be taken
   */
  constructor({ label, take, leave = () => {}, placeholder = "", pickOnly = false, kind = "" }) {
    this.take = take;
    this.leave = leave;
    this.pickOnly = pickOnly;
    this.likely = [];
    this.options = [];
    this.about = {};
    this.active = -1;
    const id = `names-${++boxes}`;
    this.list = h("ul", { role: "listbox", id, class: "names", "aria-label": naming.list, hidden: true });
    this.input = h("input", { ...inputAttributes(id, label, placeholder), on: this.listeners() });
    this.asking = h("div", { class: "same-or-other", role: "group", hidden: true });
    this.element = h("div", { class: `naming ${kind}` }, this.input, this.list, this.asking);
    this.element.addEventListener("focusout", (event) => this.left(event));
  }

  /** Begins anew, about a group, a face or nobody: {person} or {face}; `except` is an id that is not offered. With
   * `keeps` what is typed stays. */
  begin(about, { except = null, keeps = false } = {}) {
    this.stop?.abort();
    this.about = about;
    this.except = except;
    this.likely = [];
    if (!keeps) this.input.value = "";
    if (!keeps) this.showAsking(null);
    this.draw();
    if (about.person !== undefined || about.face !== undefined) this.ask(REST_MS);
  }

  focus() {
    loadNames().then(() => this.draw(), () => {});
    this.input.focus({ preventScroll: true });
    this.input.select();
    this.draw();
    if (!this.likely.length) this.ask(60);
  }

  listeners() {
    return {
      input: () => (this.showAsking(null), (this.active = -1), this.draw(), this.ask(ASK_AFTER_MS)),
      keydown: (event) => this.pressed(event),
      focus: () => this.draw(),
    };
  }

  /** Asks the server for the likeliest, after a while in which nothing else was asked. */
  ask(after) {
    this.stop?.abort();
    this.stop = new AbortController();
    const { signal } = this.stop;
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      try {
        const q = this.input.value.trim();
        this.likely = await likeliest({ ...this.about, q, signal });
        if (!signal.aborted) this.draw();
      } catch (error) {
        if (!wasAborted(error)) this.likely = []; // completion from what is known here goes on
      }
    }, after);
  }

  /** The people who fit what is typed: the likeliest, then the others by alphabet. */
  found() {
    const typed = fold(this.input.value);
    const likely = this.likely.filter((each) => fold(each.name).includes(typed));
    const others = typed || this.pickOnly || !likely.length ? matching(this.input.value, SHOWN) : [];
    const seen = new Map();
    for (const each of [...likely, ...others]) if (each.id !== this.except && !seen.has(each.id)) seen.set(each.id, each);
    return [...seen.values()].slice(0, typed || this.pickOnly ? SHOWN : SHOWN_UNASKED);
  }

  draw() {
    this.options = this.found();
    if (this.active >= this.options.length) this.active = -1;
    fill(this.list, ...this.options.map((each, i) => this.option(each, i)));
    const isOpen = this.options.length > 0 && this.asking.hidden && document.activeElement === this.input;
    this.list.hidden = !isOpen;
    this.input.setAttribute("aria-expanded", String(isOpen));
    this.mark();
  }

  option(person, i) {
    const face = person.cover && picture(faceImage(person.cover), { width: 40, height: 40 });
    const facts = [count(person.faces, "face"), person.same && naming.likely].filter(Boolean).join(" · ");
    const words = h("span", {}, isolated(person.name), h("small", {}, facts));
    const on = { pointerdown: (event) => event.preventDefault(), click: () => this.chose(person) };
    return h("li", { role: "option", id: `${this.list.id}-${i}`, "aria-selected": "false", on }, face, words);
  }

  mark() {
    [...this.list.children].forEach((each, i) => each.setAttribute("aria-selected", String(i === this.active)));
    const option = this.list.children[this.active];
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.input.setAttribute("aria-activedescendant", option.id);
    else this.input.removeAttribute("aria-activedescendant");
  }

  pressed(event) {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.options.length) this.active = stepped(this.active, step, this.options.length);
    else if (event.key === "Enter") this.enter();
    else if (event.key === "Escape") this.leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.mark();
  }

  enter() {
    const chosen = this.options[this.active];
    if (chosen) return this.chose(chosen);
    const name = this.input.value.trim();
    const known = this.sharers(name);
    if (!name) return;
    if (this.pickOnly) return this.options.length ? this.chose(this.options[0]) : undefined;
    if (known.length) this.showAsking(name, known);
    else this.done({ name, id: null, same: false, other: false });
  }

  /** Who else is named so, of those who are known here and those whom the server proposed. */
  sharers(name) {
    const wanted = fold(name);
    const found = [...namesakes(name), ...this.likely.filter((each) => fold(each.name) === wanted)];
    return [...new Map(found.map((each) => [each.id, each])).values()].filter((each) => each.id !== this.except);
  }

  chose(person) {
    const shared = this.sharers(person.name).length > 1;
    this.done({ name: person.name, id: person.id, same: true, other: false, shared });
  }

  done(taken) {
    this.stop?.abort();
    clearTimeout(this.timer);
    this.input.value = "";
    this.active = -1;
    this.showAsking(null);
    this.list.hidden = true;
    this.take(taken);
  }

  /** Asks whether a name that is there means that person. */
  showAsking(name, known = []) {
    this.asking.hidden = name === null;
    if (name === null) return;
    const same = known.slice(0, 3).map((each) => this.sameButton(each, known.length > 1));
    const other = button(naming.other(name), () => this.done({ name, id: null, same: false, other: true }));
    const again = button(naming.change, () => (this.showAsking(null), this.focus()), { kind: "quiet" });
    fill(this.asking, h("p", { role: "status" }, naming.taken(known[0].name)), ...same, other, again);
    this.asking.onkeydown = (event) => {
      if (event.key === "Escape") (event.stopPropagation(), this.showAsking(null), this.focus());
    };
    this.list.hidden = true;
    this.asking.querySelector("button").focus();
  }

  sameButton(person, several) {
    const words = several ? naming.sameOf(count(person.faces, "face")) : naming.same(count(person.faces, "face"));
    const found = button(words, () => this.chose(person), { kind: "main" });
    if (person.cover) found.prepend(picture(faceImage(person.cover), { width: 32, height: 32 }));
    return found;
  }

  left(event) {
    if (this.element.contains(event.relatedTarget)) return;
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }
}

function stepped(active, step, n) {
  const next = active + step;
  return next < -1 ? n - 1 : next >= n ? -1 : next;
}

function inputAttributes(id, label, placeholder) {
  const combobox = { role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": id };
  const plain = { autocomplete: "off", autocapitalize: "words", spellcheck: "false", enterkeyhint: "done", dir: "auto" };
  return { type: "text", class: "field", "aria-label": label, placeholder, ...combobox, ...plain };
}

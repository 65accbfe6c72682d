// Search: a photo that is dropped, pasted or chosen, or a face of the gallery; who it is, and why.

import { get, wasAborted } from "../frame/api.js";
import { button, fill, h } from "../frame/dom.js";
import { useKeys } from "../frame/keys.js";
import { failure, say } from "../frame/notices.js";
import { keepPlace } from "../frame/router.js";
import { searchTexts as texts } from "../texts.js";
import { PhotoSlot } from "./photo_slot.js";
import { comparisonOf, resultsOf } from "./results.js";

const KINDS = "image/*,.heic,.heif,.avif,.jxl,.dng,.cr2,.nef,.arw"; // what browsers know as no image by themselves, too
const MATCHES = 20;
const WAITS_MS = 1_200; // after that it is said that networks are loaded

let isWarm = false; // whether a search was answered: then the networks are loaded

class Search {
  #turn = 0; // of the newest question: older answers come too late

  constructor(main, query) {
    this.byPerson = query.get("all") !== "1";
    this.first = new PhotoSlot(texts.firstSlot, () => this.look());
    this.second = new PhotoSlot(texts.secondSlot, () => this.look());
    this.file = h("input", { type: "file", accept: KINDS, class: "unseen", tabindex: "-1", "aria-hidden": "true" });
    this.file.addEventListener("change", () => this.file.files[0] && this.take(this.file.files[0], this.target));
    this.target = this.first;
    this.status = h("p", { class: "search-status", role: "status" });
    this.results = h("section", { class: "search-results", "aria-label": texts.results });
    this.drop = this.#dropPlace(this.first, texts.drop, texts.choose);
    this.other = this.#dropPlace(this.second, texts.dropOther, texts.chooseOther);
    this.other.hidden = true;
    this.again = button(texts.chooseAgain, () => this.pick(this.first));
    this.compare = button(texts.compare, () => this.startComparing());
    this.alone = button(texts.stopComparing, () => this.stopComparing());
    this.people = this.#way(true);
    this.photos = this.#way(false);
    this.ways = h("div", { class: "row", role: "group", "aria-label": texts.show }, this.people, this.photos);
    this.#draw(main);
  }

  #draw(main) {
    const bar = h("div", { class: "row search-bar" }, this.again, this.compare, this.alone);
    const slots = h("div", { class: "search-slots" }, this.first.element, this.second.element, this.other);
    const head = h("div", { class: "search-head" }, h("h1", { tabindex: "-1" }, texts.title), h("p", { class: "quiet-text" }, texts.stays));
    const found = h("div", {}, this.status, this.ways, this.results);
    const body = h("div", { class: "search-body" }, h("div", { class: "search-asked" }, slots, bar), found);
    this.page = h("div", { class: "page search-page" }, head, this.file, this.drop, body);
    fill(main, this.page);
    this.#arrange();
  }

  #dropPlace(slot, words, choose) {
    return h(
      "div",
      { class: "drop" },
      h("p", { class: "drop-words" }, words),
      button(choose, () => this.pick(slot), { kind: "main" }),
      h("p", { class: "quiet-text paste-words" }, texts.paste),
    );
  }

  #way(byPerson) {
    const words = byPerson ? texts.byPerson : texts.allPhotos;
    const made = button(words, () => this.#show(byPerson), { kind: "plain" });
    made.setAttribute("aria-pressed", String(this.byPerson === byPerson));
    return made;
  }

  #show(byPerson) {
    if (this.byPerson === byPerson) return;
    this.byPerson = byPerson;
    this.people.setAttribute("aria-pressed", String(byPerson));
    this.photos.setAttribute("aria-pressed", String(!byPerson));
    keepPlace({}, { all: byPerson ? null : 1 });
    this.look();
  }

  #arrange() {
    const hasFirst = this.first.isFilled;
    const focused = this.page.contains(document.activeElement) ? document.activeElement : null;
    this.page.classList.toggle("asked", hasFirst);
    this.page.classList.toggle("comparing", Boolean(this.isComparing));
    this.drop.hidden = hasFirst;
    this.again.hidden = !hasFirst;
    this.compare.hidden = !this.first.query || this.isComparing;
    this.alone.hidden = !this.isComparing;
    this.other.hidden = !this.isComparing || this.second.isFilled;
    this.second.element.hidden = !this.second.isFilled;
    this.ways.hidden = !this.first.query || this.isComparing;
    if (focused?.closest("[hidden]")) this.again.focus(); // what had the focus went
  }

  /** Opens the system's choice of files. */
  pick(slot) {
    this.target = slot;
    this.file.value = "";
    this.file.click();
  }

  /** The place that the next photo goes to. */
  get next() {
    return this.isComparing && this.first.isFilled ? this.second : this.first;
  }

  /** Takes what was dropped, pasted or chosen: the first of several photos. */
  async takeOf(files) {
    if (!files.length) return;
    if (files.length > 1) say(texts.onlyFirst);
    await this.take(files[0], this.next);
  }

  /** Takes a photo into a place. */
  async take(file, slot) {
    const turn = this.#begin(texts.looking);
    fill(this.results);
    try {
      await slot.take(file);
      if (this.isLeft) return;
      if (slot === this.first) keepPlace({}, { face: null, upload: slot.query?.upload ?? null, n: slot.query?.face ?? null });
    } catch (error) {
      if (turn === this.#turn && !this.isLeft && !wasAborted(error)) this.#notTaken(slot, error);
    }
  }

  // What was there before goes: it is not what the error is about.
  #notTaken(slot, error) {
    slot.clear();
    if (slot === this.first) keepPlace({}, { face: null, upload: null, n: null });
    this.#failed(error);
  }

  /** Searches or compares, whichever is meant now. */
  async look() {
    if (this.isLeft) return undefined;
    this.#arrange();
    const { query } = this.first;
    if (this.#isFaceless(this.first) || (this.isComparing && this.#isFaceless(this.second))) return this.#refused(texts.noFace);
    if (!query) return undefined;
    if (query.upload) keepPlace({}, { upload: query.upload, n: query.face });
    const turn = this.#begin(texts.searching);
    try {
      const found = !this.isComparing ? await this.#found() : this.second.query ? await this.#compared() : null;
      if (turn === this.#turn && !this.isLeft) this.#answered(found);
    } catch (error) {
      if (turn === this.#turn && !this.isLeft) this.#failed(error);
    }
  }

  #isFaceless(slot) {
    return slot.isFilled && !slot.query;
  }

  async #found() {
    const { answer } = await get("/api/search", { ...this.first.query, k: MATCHES, group: this.byPerson });
    return resultsOf(answer, this.first.face);
  }

  async #compared() {
    const side = (name, { face_id: face, upload, face: number }) =>
      face ? { [`${name}_face`]: face } : { [`${name}_upload`]: upload, [`${name}_number`]: number };
    return comparisonOf(await get("/api/compare", { ...side("a", this.first.query), ...side("b", this.second.query) }));
  }

  #begin(words) {
    const turn = ++this.#turn;
    this.results.setAttribute("aria-busy", "true");
    this.status.className = "search-status busy";
    fill(this.status, words);
    const isSlow = () => turn === this.#turn && !isWarm && this.status.classList.contains("busy");
    setTimeout(() => isSlow() && fill(this.status, `${words} ${texts.loads}`), WAITS_MS);
    return turn;
  }

  #answered(found) {
    this.#ended("");
    if (!found) return;
    isWarm = true;
    fill(this.results, ...found);
    say(found[0].textContent);
  }

  #ended(words) {
    this.#turn += 1;
    this.status.className = "search-status";
    this.results.removeAttribute("aria-busy");
    fill(this.status, words);
    fill(this.results);
  }

  #failed(error) {
    this.#arrange();
    this.#refused(error.message, texts.afterError(error.status));
  }

  #refused(words, advice = null) {
    this.#ended("");
    fill(this.results, h("div", { class: "card search-failed" }, h("p", {}, words), advice && h("p", {}, advice)));
    say(words);
  }

  /** Opens the place of a second photo. */
  startComparing() {
    this.isComparing = true;
    this.#ended("");
    this.#arrange();
    this.other.querySelector("button").focus();
  }

  /** Closes it, and searches for the first face again. */
  stopComparing() {
    this.isComparing = false;
    this.second.clear();
    this.look();
    this.compare.focus();
  }

  /** Begins with what the address names. */
  async begin(query) {
    const face = Number(query.get("face"));
    const upload = query.get("upload");
    if (upload && !this.first.restore(upload, Number(query.get("n")) || 1)) keepPlace({}, { upload: null, n: null });
    if (!face) return;
    try {
      await this.first.takeFace(face);
    } catch (error) {
      this.#failed(error);
    }
  }
}

let ends = null;
let view = null;

/** Shows the page of searches. */
export function mount(main, { query }) {
  view = new Search(main, query);
  const shown = view;
  useKeys([{ key: "o", shown: "O", words: texts.choose, run: () => shown.pick(shown.next) }]);
  ends = new AbortController();
  listen(main, view, ends.signal);
  get("/api/search/ready").catch(() => {}); // the networks load while the user looks for a photo; a search says what is wrong
  return view.begin(query).catch(failure);
}

/** Leaves it. */
export function unmount() {
  if (view) view.isLeft = true;
  ends?.abort();
  document.body.classList.remove("dropping");
}

function listen(main, view, signal) {
  const photos = (transfer) => [...(transfer?.files ?? [])];
  const on = (event, listener) => document.addEventListener(event, listener, { signal });
  on("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  on("dragleave", (event) => event.relatedTarget === null && document.body.classList.remove("dropping"));
  on("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const files = photos(event.dataTransfer);
    if (files.length) view.takeOf(files);
    else failure({ message: texts.notAFile });
  });
  on("paste", (event) => {
    const files = photos(event.clipboardData);
    if (!files.length) return;
    event.preventDefault();
    view.takeOf(files);
  });
}

// The gallery: what is indexed, what could not be read and what to do about it, and indexing again.

import { get } from "../frame/api.js";
import { fill, h, isolated } from "../frame/dom.js";
import { failure } from "../frame/notices.js";
import { watch } from "../frame/state.js";
import { count, galleryTexts as texts, moment, number } from "../texts.js";
import { failuresIn, failuresOf } from "./failures.js";
import { groupingPanel } from "./grouping.js";
import { RunPanel } from "./run.js";

const EVERY_MS = 2_000; // at most, while a run changes the gallery

class GalleryPage {
  #timer = 0;
  #shown = {};

  constructor(main) {
    this.numbers = h("dl", { class: "gallery-numbers" });
    this.about = h("dl", { class: "gallery-about" });
    this.failures = h("section", { "aria-labelledby": "failures-title" });
    this.run = new RunPanel();
    this.title = h("h1", { tabindex: "-1" }, texts.title);
    const about = h("section", { "aria-labelledby": "about-title" }, h("h2", { id: "about-title" }, texts.about), this.about);
    fill(main, h("div", { class: "page gallery-page" }, this.title, this.numbers, this.run.element, groupingPanel(), about, this.failures));
  }

  /** Reads what the gallery holds. */
  async load() {
    const facts = await get("/api/gallery");
    facts.groups = (await get("/api/people", { list: "groups", n: 1 })).total; // as People counts: without strangers
    if (this.isLeft || !this.isNew("facts", facts)) return;
    fill(this.title, texts.titleOf, " ", isolated(facts.gallery));
    fill(this.numbers, numbersOf(facts));
    fill(this.about, aboutOf(facts));
    this.run.knows(facts);
    const failures = await failuresIn(facts);
    if (this.isNew("failures", failures)) fill(this.failures, ...failuresOf(failures));
  }

  /** Whether this is other than what is shown: what is the same stays, with its focus and what was unfolded. */
  isNew(name, found) {
    const text = JSON.stringify(found);
    const isOther = text !== this.#shown[name];
    this.#shown[name] = text;
    return isOther;
  }

  /** Takes what is heard of the gallery: its version and its run. */
  heard(state, before) {
    this.run.show(state.run);
    if (!before || state.version === before.version || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.load().catch(() => {});
    }, EVERY_MS);
  }

  /** Ends what waits. */
  leave() {
    this.isLeft = true;
    clearTimeout(this.#timer);
    this.run.leave();
  }
}

function numbersOf(facts) {
  const photos = Object.values(facts.photos).reduce((sum, each) => sum + each, 0);
  return [
    figure(photos, texts.photos), figure(facts.faces, texts.faces), figure(facts.people, texts.people, "/people"),
    figure(facts.groups, texts.groups, "/people"), figure(facts.questions, texts.questions, "/questions"),
  ];
}

function figure(n, words, href) {
  const shown = href ? h("a", { href }, number(n)) : number(n);
  return h("div", {}, h("dt", {}, words(n)), h("dd", {}, shown));
}

function aboutOf(facts) {
  const { threshold, index } = facts;
  const rows = [
    [texts.folders, foldersOf(facts)],
    facts.exclude.length > 0 && [texts.leftOut, facts.exclude.join(", ")],
    [texts.photosBy, Object.entries(facts.photos).map(([status, n]) => texts.status(status, n)).join(", ") || texts.none],
    [texts.lastRun, facts.last_run ? moment(facts.last_run) : texts.never],
    [texts.model, facts.model],
    [texts.detector, texts.detectorFrom(facts.detector, facts.min_face)],
    [texts.threshold, threshold ? texts.thresholdIs(threshold) : texts.noThreshold],
    [texts.cohort, facts.cohort ? texts.cohortOf(facts.cohort) : texts.noCohort],
    index && [texts.index, texts.indexIs(index)],
    facts.faces_set_aside > 0 && [texts.setAside, count(facts.faces_set_aside, "face")],
    [texts.onDisk, texts.bytes(facts.bytes_on_disk)],
    [texts.place, h("span", { class: "path" }, isolated(facts.directory))],
  ];
  return rows.filter(Boolean).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]);
}

function foldersOf({ folders, gallery }) {
  const add = h("li", { class: "quiet-text" }, texts.addFolder, " ", h("code", {}, texts.addCommand(gallery)));
  return h("ul", {}, folders.map((each) => h("li", { class: "path" }, isolated(each))), add);
}

let view = null;
let unwatch = null;

/** Shows the page of the gallery. */
export async function mount(main) {
  view = new GalleryPage(main);
  const shown = view;
  unwatch = watch((state, before) => shown.heard(state, before));
  await shown.load().catch((error) => shown.isLeft || failure(error));
}

/** Leaves it. */
export function unmount() {
  unwatch?.();
  view?.leave();
}

// The page of people: who has a name first, then groups by size; faces alone, strangers and hidden people are folded.

import { get } from "../frame/api.js";
import { ask } from "../frame/dialogs.js";
import { button, fill, h } from "../frame/dom.js";
import { showCount } from "../frame/frame.js";
import { useKeys } from "../frame/keys.js";
import { failure } from "../frame/notices.js";
import { onPending, pending } from "../frame/queue.js";
import { keepPlaceSoon, navigate } from "../frame/router.js";
import { watch } from "../frame/state.js";
import { Grid } from "../grid/grid.js";
import { stepInto } from "../grid/grid_keys.js";
import { forgetFailed } from "../grid/images.js";
import { frame, number, people } from "../texts.js";
import { Acts } from "./acts.js";
import { keepFolded, listOf, LISTS, sectionsOf, smallerThan } from "./lists.js";
import { loadNames } from "./names.js";
import { Panel } from "./panel.js";
import { Target } from "./target.js";

const LEAST_PX = 104;
const SMALL = [3, 5, 10]; // faces
const FIRST_MS = 5_000; // waited for before the page goes on without its lists

let page = null;

/** Shows it. */
export async function mount(main, address) {
  page = new People(main, address);
  await page.begin(address);
}

/** Ends it. */
export function unmount() {
  page?.end();
  page = null;
}

class People {
  constructor(main) {
    this.lists = Object.fromEntries(LISTS.map((name) => [name, listOf(name)]));
    this.acts = new Acts(this.lists, (item) => this.returnTo(item));
    this.panel = new Panel(this.buttons());
    this.grid = this.makeGrid();
    this.target = new Target(this);
    this.chips = h("div", { class: "chips", role: "group", "aria-label": people.sections });
    this.selecting = button(people.select, () => this.switchSelecting(), { kind: "quiet" });
    this.selecting.setAttribute("aria-pressed", "false");
    this.small = button(people.small, () => this.ignoreSmall(), { kind: "quiet" });
    const head = h("div", { class: "toolbar" }, h("h1", {}, frame.people), this.chips, this.small, this.selecting);
    this.empty = h("div", { class: "empty", hidden: true });
    this.split = h("div", { class: "split" }, this.grid.element, this.panel.element);
    main.className = "fixed";
    fill(main, head, this.empty, this.split);
    useKeys(this.keys());
  }

  makeGrid() {
    const does = {
      active: (spot, item) => this.looked(spot, item),
      selected: (selection) => this.showSelected(selection),
      enter: (item, section) => this.entered(item, section.name),
      click: (item, section, event) => this.clicked(item, section.name, event),
      open: (item, section) => this.open(item, section.name),
      folded: keepFolded,
      listed: () => this.heard(),
    };
    return new Grid({ label: people.grid, kind: "people-grid", sections: sectionsOf(this.lists), least: LEAST_PX, does });
  }

  async begin({ place, query }) {
    this.ends = [watch((...states) => this.changedElsewhere(...states)), onPending((left) => left || this.later())];
    for (const name of ["named", "groups"]) this.lists[name].want(0, 0);
    await this.arrived();
    for (const name of ["alone", "strangers", "hidden"]) this.lists[name].want(0, 0);
    await this.restore(place, Number(query.get("person")) || null);
    loadNames().catch(() => {});
  }

  end() {
    clearTimeout(this.timer);
    this.ends?.forEach((end) => end());
    this.grid.close();
  }

  /** Waits until the first faces are there. */
  arrived() {
    const { named, groups } = this.lists;
    return new Promise((resolve) => {
      this.first = () => named.isKnown && groups.isKnown && resolve();
      setTimeout(resolve, FIRST_MS);
    });
  }

  heard() {
    this.showChips();
    this.first?.();
  }

  // The place

  async restore(place, person) {
    const list = this.grid.sections[place?.at?.section]?.list;
    if (list) await list.range(place.at.index, place.at.index);
    if (list && this.goTo(place.at, place.id)) return;
    if (person) await this.seek(person);
  }

  goTo({ section, index }, id) {
    const { list, folded } = this.grid.sections[section] ?? {};
    if (!list || list.total <= index) return false;
    if (folded) this.grid.fold(section, false);
    this.grid.relay();
    this.grid.activeId = id;
    const isThere = this.grid.go({ section, index });
    if (isThere) this.grid.activeId = id;
    return isThere;
  }

  /** Goes to somebody by id, where the lists that are there have them. */
  async seek(id) {
    const { name, kind, hidden } = await get(`/api/people/${id}`);
    const section = LISTS.indexOf(hidden ? "hidden" : kind === "stranger" ? "strangers" : name ? "named" : "groups");
    const { list } = this.grid.sections[section];
    await list.range(0, Math.min(list.total, 2_000) - 1);
    const index = list.indexOf(id);
    if (index >= 0) this.goTo({ section, index }, id);
  }

  looked(spot, item) {
    if (page !== this) return; // what is taken back late still changes the lists
    const { name } = this.grid.sections[spot.section];
    this.target.show();
    if (!item) return;
    const id = this.lists[name].key(item);
    keepPlaceSoon({ at: spot, id }, { person: name === "alone" ? null : id });
  }

  // What others do

  changedElsewhere(state, before, isBack) {
    if (isBack) this.panel.forget();
    if (isBack || (before && state.version !== before.version)) this.later();
  }

  /** Reads the lists anew, once nothing of ours is on its way. */
  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => pending() === 0 && this.refresh(), 250);
  }

  refresh() {
    forgetFailed();
    for (const list of Object.values(this.lists)) list.refresh();
  }

  showChips() {
    if (page === this && this.lists.named.isKnown) showCount("people", this.lists.named.total);
    const shown = LISTS.filter((name) => this.lists[name].total > 0);
    const signature = shown.map((name) => `${name} ${this.lists[name].total}`).join();
    const isKnown = LISTS.every((name) => this.lists[name].isKnown);
    this.showEmpty(isKnown && shown.length === 0);
    if (signature === this.signature) return;
    this.signature = signature;
    const chips = shown.map((name) => button(people.titles[name], () => this.jump(name), { kind: "chip" }));
    chips.forEach((chip, i) => chip.append(h("span", { class: "count" }, number(this.lists[shown[i]].total))));
    fill(this.chips, ...chips);
  }

  showEmpty(isEmpty) {
    this.empty.hidden = !isEmpty;
    this.split.hidden = this.selecting.hidden = isEmpty;
    this.small.hidden = this.lists.groups.total === 0;
    if (isEmpty) fill(this.empty, h("h2", {}, people.empty), h("p", {}, people.emptyWhy), h("a", { class: "button main", href: "/gallery" }, people.toGallery));
  }

  /** Goes to somebody who is back in a list; not while a name is typed for somebody else. */
  returnTo(item) {
    const section = this.grid.sections.findIndex(({ list, folded }) => !folded && list.items.includes(item));
    if (page !== this || section < 0 || this.target.isBusy) return;
    this.grid.relay();
    this.grid.go({ section, index: this.grid.sections[section].list.items.indexOf(item) });
  }

  jump(name) {
    const section = LISTS.indexOf(name);
    if (this.grid.sections[section].folded) this.grid.fold(section, false);
    this.grid.relay();
    this.grid.jump(section);
    this.grid.element.focus({ preventScroll: true });
  }

  // What the user does

  entered(item, list) {
    if (item && list === "named") this.open(item, list);
    else this.openBox();
  }

  clicked(item, list, event) {
    this.grid.selection.clear();
    this.panel.element.classList.add("open");
    if (event.pointerType !== "touch" && list !== "named") this.openBox();
  }

  openBox() {
    if (this.grid.spot.index < 0 || !this.grid.isThere(this.grid.spot)) return;
    this.panel.element.classList.add("open");
    this.target.open();
  }

  openOne() {
    const { one } = this.target;
    if (one) this.open(one.item, one.section.name);
  }

  open(item, list) {
    if (list === "alone") navigate(`/photos/${item.photo_id}?face=${item.face_id}`);
    else navigate(`/people/${item.id}`);
  }

  back() {
    this.panel.element.classList.remove("open");
    this.grid.element.focus({ preventScroll: true });
  }

  /** Does something with who is selected, or with the active one; each list apart. */
  each(act) {
    const chosen = this.target.chosen();
    const lists = Map.groupBy(chosen, ({ section }) => section.name);
    this.grid.selection.clear();
    for (const [name, some] of lists) act(some.map(({ item }) => item), name);
    this.back();
  }

  join() {
    const chosen = this.target.chosen().filter(({ section }) => section.name !== "alone").map(({ item }) => item);
    if (chosen.length < 2) return failure({ message: people.joinTwo }, { slot: "hint" });
    this.grid.selection.clear();
    this.acts.join(chosen);
    this.back();
  }

  async ignoreSmall() {
    const choices = SMALL.map((n) => ({ value: n, words: people.fewer(n, smallerThan(n, this.lists)) }));
    const n = await ask({ title: people.smallTitle, text: people.smallWhy, choices });
    if (n) this.acts.ignoreBelow(n);
  }

  notFaces() {
    this.each((items, list) => (list === "alone" ? this.acts.notFaces(items) : failure({ message: people.notFaceAlone }, { slot: "hint" })));
  }

  showSelected(selection) {
    const people = selection.all.filter(({ section }) => section.name !== "alone");
    if (!selection.size) this.grid.isSelecting = this.selecting.getAttribute("aria-pressed") === "true";
    this.panel.showSelected(selection.all, people.length > 1);
    this.target.again();
    if (selection.size) this.panel.element.classList.add("open");
  }

  switchSelecting() {
    this.grid.isSelecting = this.selecting.getAttribute("aria-pressed") !== "true";
    this.selecting.setAttribute("aria-pressed", String(this.grid.isSelecting));
    if (!this.grid.isSelecting) this.grid.selection.clear();
  }

  buttons() {
    return {
      name: (taken) => this.target.name(taken),
      leave: () => this.back(),
      close: () => this.back(),
      open: () => this.openOne(),
      ignore: () => this.each((items, list) => this.acts.ignore(items, list)),
      hide: () => this.each((items, list) => list !== "alone" && this.acts.hide(items, list !== "hidden")),
      notFace: () => this.notFaces(),
      join: () => this.join(),
      clear: () => (this.grid.selection.clear(), this.back()),
    };
  }

  keys() {
    const does = this.buttons();
    const move = (key) => ({ key, words: "", run: () => stepInto(this.grid, key) });
    return [
      { key: "arrows", shown: people.arrowKeys, words: people.keys.arrows, run: () => {} },
      { key: "Enter", words: people.keys.enter, run: () => this.entered(this.grid.item(), this.grid.section()?.name) },
      { key: "n", shown: "N", words: people.keys.name, run: () => this.openBox() },
      { key: "o", shown: "O", words: people.keys.open, run: does.open },
      { key: "i", shown: "I", words: people.keys.ignore, run: does.ignore },
      { key: "j", shown: "J", words: people.keys.join, run: does.join },
      { key: "h", shown: "H", words: people.keys.hide, run: does.hide },
      { key: "f", shown: "F", words: people.keys.notFace, run: does.notFace },
      { key: " ", shown: people.spaceKey, words: people.keys.select, run: () => {} },
      { key: "Escape", words: "", run: () => this.grid.selection.clear() },
      ...["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End", "PageDown", "PageUp"].map(move),
    ];
  }
}

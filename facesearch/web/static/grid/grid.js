// A grid of any number of tiles, of which those in view are elements. The grid itself has the focus and says which tile
// is active, so that a tile that is used again for another never takes the focus with it.

import { h, set } from "../frame/dom.js";
import { listenToGrid } from "./grid_keys.js";
import { Layout, measured } from "./layout.js";
import { Rows } from "./rows.js";
import { Selection } from "./selection.js";
import { Track } from "./track.js";

const HEAD_PX = 56;
const GAP_PX = 8;
let grids = 0;

/**
 * @typedef {object} Section
 * @property {string} name
 * @property {import("./list.js").List} list
 * @property {(item: object) => import("./tiles.js").Look} look
 * @property {string} [title] of its head; without one it has none
 * @property {() => boolean} [isTitled] whether its head is shown
 * @property {boolean} [foldable]
 * @property {boolean} [folded]
 * @property {number} [caption] pixels below a tile's picture
 *
 * @typedef {object} Does what a grid tells its page
 * @property {(spot: object, item: object|undefined) => void} [active] another tile is active
 * @property {(selection: Selection) => void} [selected] others are selected
 * @property {(item: object, section: Section, event: Event) => void} [enter] Enter
 * @property {(item: object, section: Section, event: Event) => void} [click]
 * @property {(section: Section) => void} [folded] a section was folded or unfolded
 * @property {() => void} [listed] a list has changed
 * @property {(item: object, section: Section, event: Event) => void} [open] a double click
 */

export class Grid {
  /** @param {{label: string, sections: Section[], least: number, does: Does}} options `least`: a tile's side in px */
  constructor({ label, kind = "", sections, least, does }) {
    Object.assign(this, { sections, least, does });
    this.id = `grid-${++grids}`;
    this.spot = { section: -1, index: 0 };
    this.activeId = null;
    this.space = h("div", { class: "grid-space", role: "rowgroup" });
    const roles = { role: "grid", tabindex: "0", "aria-label": label, "aria-multiselectable": "true" };
    this.element = h("div", { class: `grid ${kind}`, id: this.id, ...roles }, this.space);
    this.drawn = new Rows(this);
    this.track = new Track(this.element, this.space, () => this.later());
    this.selection = new Selection((selection) => (this.redraw(), does.selected?.(selection)));
    this.resizing = new ResizeObserver(() => this.relay());
    this.resizing.observe(this.element);
    for (const { list } of sections) list.changed = () => this.listed();
    listenToGrid(this);
  }

  /** Ends it: nothing of it is waited for. */
  close() {
    this.resizing.disconnect();
    cancelAnimationFrame(this.frame);
    for (const { list } of this.sections) list.close();
    this.drawn.close();
  }

  // Where things are

  get columns() {
    return this.layout.columns;
  }

  item({ section, index } = this.spot) {
    return index < 0 ? undefined : this.sections[section]?.list.at(index);
  }

  section(spot = this.spot) {
    return this.sections[spot.section];
  }

  isThere(spot) {
    return this.layout !== undefined && spot.section >= 0 && this.layout.rowOf(spot) >= 0;
  }

  /** The first tile of all, or null where there is none. */
  firstTile() {
    const section = this.sections.findIndex(({ list, folded }) => !folded && list.total > 0);
    return section < 0 ? null : { section, index: 0 };
  }

  // What changes

  /** A list has grown, shrunk or arrived: what is active stays where it is seen. */
  listed() {
    if (this.asked) return;
    this.asked = true;
    queueMicrotask(() => {
      this.asked = false;
      const before = this.shown;
      this.follow();
      this.relay();
      this.does.listed?.();
      if (this.item() !== before) this.tellPage();
    });
  }

  /** The active item may stand elsewhere in its list now. */
  follow() {
    const list = this.section()?.list;
    if (!list || this.spot.index < 0) return;
    const item = this.item();
    if (item && this.activeId === null) this.activeId = list.key(item);
    if (item && list.key(item) === this.activeId) return;
    const index = this.activeId === null ? -1 : list.indexOf(this.activeId);
    const last = Math.max(0, list.total - 1);
    this.spot = { ...this.spot, index: index >= 0 ? index : Math.min(this.spot.index, last) };
    const standing = this.item();
    this.activeId = standing ? list.key(standing) : null;
  }

  tellPage() {
    this.shown = this.item();
    this.does.active?.(this.spot, this.shown);
  }

  /** Measures and lays out anew, with the active row, or the first, where it was. */
  relay() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const anchor = this.anchor();
    const inner = width - 2 * GAP_PX;
    const caption = Math.min(...this.sections.map((each) => each.caption ?? 0));
    const { columns, side, over } = measured({ width: inner, height, least: this.least, caption, gap: GAP_PX });
    const sizes = this.sections.map(sizeOf);
    const shape = JSON.stringify([columns, side, sizes]);
    this.over = over;
    if (shape !== this.shape) this.reshape(shape, new Layout(sizes, { columns, side, headHeight: HEAD_PX }), anchor);
    this.render();
    this.redraw();
  }

  reshape(shape, layout, anchor) {
    const isSameWidth = this.layout?.columns === layout.columns;
    this.shape = shape;
    this.drawn.putAllAside({ dropping: !isSameWidth });
    this.layout = layout;
    this.track.resize(layout.height);
    this.element.setAttribute("aria-rowcount", String(layout.rows));
    this.element.setAttribute("aria-colcount", String(layout.columns));
    if (anchor) this.keep(anchor);
  }

  anchor() {
    if (!this.layout?.rows) return null;
    const { top } = this.track;
    const active = this.isThere(this.spot) ? this.layout.rowOf(this.spot) : -1;
    const isSeen = active >= 0 && this.topOf(active) > top - 1 && this.topOf(active) < top + this.element.clientHeight;
    if (!isSeen && top < 1) return null;
    const row = isSeen ? active : this.layout.rowAt(top);
    return { spot: isSeen ? this.spot : this.layout.spot(row, 0), below: this.topOf(row) - top };
  }

  keep({ spot, below }) {
    const row = this.layout.rowOf(spot);
    if (row >= 0) this.track.go(this.topOf(row) - below);
  }

  topOf(row) {
    return this.layout.row(row).top;
  }

  /** Folds a section, or unfolds it. */
  fold(section, folded) {
    const each = this.sections[section];
    each.folded = folded;
    this.relay();
    this.does.folded?.(each);
  }

  // Going

  /** Makes a tile active, and shows it. */
  go(spot, { scroll = true } = {}) {
    const row = this.layout ? this.layout.rowOf(spot) : -1;
    if (row < 0) return false;
    this.spot = spot;
    const item = this.item(spot);
    this.activeId = item ? this.section(spot).list.key(item) : null;
    if (scroll) this.reveal(row);
    this.render();
    this.redraw();
    this.tellPage();
    return true;
  }

  /** Goes to a section, with its head at the top. */
  jump(section) {
    const number = this.layout.rowOf({ section, index: -1 });
    const first = this.layout.rowOf({ section, index: 0 });
    if (first < 0) return;
    this.go({ section, index: 0 }, { scroll: false });
    this.track.go(this.topOf(number < 0 ? first : number));
    this.render();
  }

  reveal(number) {
    const { top, height } = this.layout.row(number);
    const seen = this.element.clientHeight;
    const above = number > 0 ? this.layout.row(number - 1) : null;
    const upTo = above?.isHead ? above.top : top - GAP_PX; // with the head, where this is the first row below one
    if (top < this.track.top || (above?.isHead && upTo < this.track.top)) this.track.go(upTo);
    else if (top + height > this.track.top + seen) this.track.go(top + height - seen);
  }

  // Drawing

  later() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
    });
  }

  render() {
    if (!this.layout) return;
    const { top } = this.track;
    const seen = this.element.clientHeight;
    const first = Math.max(0, this.layout.rowAt(top) - this.over);
    const last = Math.min(this.layout.rows - 1, this.layout.rowAt(top + seen) + this.over);
    this.drawn.show(first, last, { top, seen, shift: this.track.shift });
    this.wantSeen(first, last);
    this.tellActive();
  }

  /** Draws what has changed on the tiles that are there. */
  redraw() {
    this.drawn.redraw();
    this.tellActive();
  }

  tellActive() {
    const isDrawn = this.isThere(this.spot) && this.drawn.has(this.layout.rowOf(this.spot));
    set(this.element, "aria-activedescendant", isDrawn ? this.drawn.cellId(this.spot) : null);
  }

  wantSeen(first, last) {
    const seen = new Map();
    for (let number = first; number <= last; number += 1) {
      const { section, isHead, first: index, n } = this.layout.row(number);
      if (isHead) continue;
      const [from] = seen.get(section) ?? [index];
      seen.set(section, [from, index + n - 1]);
    }
    for (const [section, [from, to]] of seen) this.sections[section].list.want(from, to);
  }
}

function sizeOf({ title, list, folded = false, caption = 0, isTitled = () => true }) {
  return { n: list.total, hasHead: title !== undefined && list.total > 0 && isTitled(), folded, caption };
}

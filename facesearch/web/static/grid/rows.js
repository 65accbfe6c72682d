// The rows of a grid that are elements now. A row that leaves the view is used again for one that enters it.

import { set } from "../frame/dom.js";
import { frame, number as numbered } from "../texts.js";
import { Images } from "./images.js";
import { clear, draw, headRow, place, tile, tileRow } from "./tiles.js";

const ORDER_MS = 300; // without scrolling

/** The drawn rows of a grid. */
export class Rows {
  /** @param {import("./grid.js").Grid} grid */
  constructor(grid) {
    this.grid = grid;
    this.images = new Images(grid.space);
    this.rows = new Map(); // by number
    this.spare = [];
  }

  has(number) {
    return this.rows.has(number);
  }

  /** The id of the cell of a spot, which aria-activedescendant names. */
  cellId({ section, index }) {
    return `${this.grid.id}-${section}-${index}`;
  }

  /** Draws the rows from one number to another, and no other. */
  show(first, last, { top, seen, shift }) {
    for (const [number, row] of this.rows) if (number < first || number > last) this.putAside(number, row);
    for (let number = first; number <= last; number += 1) this.put(number, { top, seen, shift });
    this.spare.forEach((row) => this.drop(row));
    this.spare = [];
    clearTimeout(this.ordering);
    this.ordering = setTimeout(() => this.order(), ORDER_MS);
  }

  /** Draws what has changed on the tiles that are there. */
  redraw() {
    for (const row of this.rows.values()) {
      if (row.tiles) row.tiles.forEach((cell) => this.drawTile(cell));
      else row.firstChild.classList.toggle("active", this.isActive(row.firstChild.spot));
    }
  }

  /** Puts all rows aside for other numbers, or drops them where they have another width now. */
  putAllAside({ dropping }) {
    for (const [number, row] of this.rows) {
      if (dropping) this.drop(row);
      else this.putAside(number, row);
    }
    this.rows.clear();
  }

  close() {
    clearTimeout(this.ordering);
    this.putAllAside({ dropping: true });
    this.images.stopSharpening();
  }

  /** Puts the rows into the order in which they are seen: who hears the page goes through them so. */
  order() {
    const rows = [...this.rows.entries()].sort(([a], [b]) => a - b).map(([, row]) => row);
    const { space } = this.grid;
    if (rows.some((row, i) => space.children[i] !== row)) space.append(...rows);
  }

  putAside(number, row) {
    this.rows.delete(number);
    if (row.tiles) this.spare.push(row);
    else this.drop(row);
  }

  drop(row) {
    row.tiles?.forEach((cell) => clear(cell, this.images));
    row.remove();
  }

  put(number, { top, seen, shift }) {
    const at = this.grid.layout.row(number);
    const row = this.rows.get(number) ?? this.fresh(number, at);
    row.style.setProperty("transform", `translateY(${at.top - shift}px)`);
    row.away = Math.max(0, top - at.top - at.height, at.top - top - seen);
  }

  fresh(number, at) {
    const row = at.isHead ? this.head(at.section) : (this.used(at) ?? tileRow(this.grid.columns));
    row.setAttribute("aria-rowindex", String(number + 1));
    row.style.setProperty("height", `${at.height}px`);
    row.at = at;
    this.rows.set(number, row);
    if (!at.isHead) this.tiles(row);
    if (!row.isConnected) this.grid.space.append(row);
    return row;
  }

  /** A row that was put aside: the one that was there before, or else any. */
  used({ section, first }) {
    const same = this.spare.findIndex(({ at }) => at.section === section && at.first === first);
    return same < 0 ? this.spare.pop() : this.spare.splice(same, 1)[0];
  }

  head(section) {
    const { title, list, foldable, folded } = this.grid.sections[section];
    const row = headRow({ title, count: numbered(list.total), foldable, folded });
    const spot = { section, index: -1 };
    place(row.firstChild, { id: this.cellId(spot), column: 0, spot });
    set(row.firstChild, "aria-colspan", this.grid.columns);
    row.firstChild.classList.toggle("active", this.isActive(spot));
    return row;
  }

  tiles(row) {
    row.tiles ??= [];
    const { section, first, n } = row.at;
    while (row.tiles.length < n) row.append(row.tiles[row.tiles.push(tile()) - 1]);
    while (row.tiles.length > n) {
      const cell = row.tiles.pop();
      clear(cell, this.images);
      cell.remove();
    }
    row.tiles.forEach((cell, column) => {
      const spot = { section, index: first + column };
      place(cell, { id: this.cellId(spot), column, spot });
      this.drawTile(cell);
    });
  }

  drawTile(cell) {
    const section = this.grid.sections[cell.spot.section];
    const item = section.list.at(cell.spot.index);
    if (cell.item !== item || !cell.item) draw(cell, item && section.look(item), this.images, frame.loading);
    cell.item = item;
    const isSelected = item !== undefined && this.grid.selection.has(section, item);
    cell.setAttribute("aria-selected", String(isSelected));
    cell.classList.toggle("active", this.isActive(cell.spot));
  }

  isActive({ section, index }) {
    const { spot } = this.grid;
    return spot.section === section && spot.index === index;
  }
}

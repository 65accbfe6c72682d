// The rows and tiles of a grid as elements that are used again. A tile is two nodes: its cell and its image; what is
// written below it is drawn from attributes, so that a window full of faces stays below 200 nodes.

import { faceImage } from "../frame/api.js";
import { GONE, h, set } from "../frame/dom.js";

/** @typedef {{label: string, title?: string, note?: string, face?: number|null, image?: string,
 *   marks?: string}} Look of a tile:
 * `label` is what is said of it, `title` and `note` the lines below it, `face` whose picture it has, `image` the
 * address of another one, `marks` classes. */

/** An empty row of tiles. */
export function tileRow(columns) {
  const row = h("div", { role: "row", class: "tile-row" });
  row.style.setProperty("--columns", columns);
  return row;
}

/** An empty tile. */
export function tile() {
  const cell = h("div", { role: "gridcell", class: "tile" });
  cell.append(new Image());
  return cell;
}

/** Gives a tile its place. */
export function place(cell, { id, column, spot }) {
  cell.id = id;
  cell.setAttribute("aria-colindex", String(column + 1));
  cell.spot = spot;
}

/** Draws an item on a tile, with the words of `look`; undefined draws one that has not arrived. */
export function draw(cell, look, images, loading) {
  cell.className = `tile ${look?.marks ?? "loading"}`;
  cell.setAttribute("aria-label", look?.label ?? loading);
  set(cell, "data-title", look?.title);
  set(cell, "data-note", look?.note);
  picture(cell, look ? (look.image ?? (look.face ? faceImage(look.face) : GONE)) : "", images);
}

/** Takes a tile's image away, so that it is not waited for. */
export function clear(cell, images) {
  cell.item = null;
  picture(cell, "", images);
}

function picture(cell, url, images) {
  const now = cell.firstChild;
  if ((now.dataset.url ?? "") === url) return;
  const next = images.take(url);
  now.replaceWith(next);
  images.release(now);
}

/**
 * A row that is a section's head.
 * @param {{title: string, count: string, foldable: boolean, folded: boolean}} head
 */
export function headRow({ title, count, foldable, folded }) {
  const words = [h("span", { class: "head-title" }, title), h("span", { class: "count" }, count)];
  const expanded = foldable ? String(!folded) : null;
  const cell = h("div", { role: "gridcell", class: foldable ? "head foldable" : "head", "aria-expanded": expanded }, ...words);
  return h("div", { role: "row", class: "head-row" }, cell);
}

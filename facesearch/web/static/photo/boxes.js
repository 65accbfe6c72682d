// Faces drawn over a photo: a button for each, in the order in which a page is read.

import { h, isolated } from "../frame/dom.js";

const EDGE = 0.12; // of the photo's width: nearer to its side a label would be cut, so it starts at the box's own
const LOW = 0.9; // of the photo's height: below that a label stands over its box

/** Items with a `box` in rows from the top, each from the left. */
export function inReadingOrder(items) {
  const rows = [];
  for (const item of [...items].sort((a, b) => middle(a.box) - middle(b.box))) {
    const row = rows.find(([first]) => middle(item.box) < first.box[3] && middle(item.box) > first.box[1]);
    if (row) row.push(item);
    else rows.push([item]);
  }
  return rows.flatMap((row) => row.sort((a, b) => a.box[0] - b.box[0]));
}

/** Whether two boxes overlap by at least that share of what both cover together. */
export function overlap([l, t, r, b], [l2, t2, r2, b2]) {
  const both = Math.max(0, Math.min(r, r2) - Math.max(l, l2)) * Math.max(0, Math.min(b, b2) - Math.max(t, t2));
  return both / ((r - l) * (b - t) + (r2 - l2) * (b2 - t2) - both);
}

/**
 * A layer for a photo of `size` ({width, height}) with a button for each item, already in order. An item is
 * {key, box, name, words, kind}: `name` stands below the box, `words` are what a screen reader says, and `kind` is a
 * class. `choose` gets the item.
 */
export function boxLayer(size, items, choose) {
  const layer = h("div", { class: "boxes" });
  const largest = [...items].sort((a, b) => areaOf(b.box) - areaOf(a.box)); // a small face may lie within a large one
  const boxes = new Map(items.map((item) => [item, boxOf(size, item, largest.indexOf(item), choose)]));
  layer.append(...boxes.values());
  layer.addEventListener("click", (event) => toNearest(event, { layer, size, boxes, choose }), { capture: true });
  return layer;
}

// The targets of small faces are larger than their boxes, and overlap: the face whose box is nearest is meant.
function toNearest(event, { layer, size, boxes, choose }) {
  if (event.detail === 0) return; // by a key, or by an assistive program
  const seen = layer.getBoundingClientRect();
  const [x, y] = [((event.clientX - seen.left) / seen.width) * size.width, ((event.clientY - seen.top) / seen.height) * size.height];
  const away = ({ box: [l, t, r, b] }) => Math.hypot(Math.max(l - x, 0, x - r), Math.max(t - y, 0, y - b));
  const [nearest] = [...boxes.keys()].sort((a, b) => away(a) - away(b) || areaOf(a.box) - areaOf(b.box));
  event.stopPropagation();
  if (nearest && event.target !== layer) choose(nearest, boxes.get(nearest));
}

function areaOf([l, t, r, b]) {
  return (r - l) * (b - t);
}

function boxOf(size, item, level, choose) {
  const made = h(
    "button",
    {
      type: "button",
      class: `box ${item.kind ?? ""} ${sideOf(size, item.box)}`,
      "data-key": item.key,
      "aria-label": item.words,
      "aria-pressed": item.isChosen === undefined ? null : String(item.isChosen),
      on: { click: () => choose(item, made) },
    },
    item.name ? h("span", { class: "box-name", "aria-hidden": "true" }, isolated(item.name)) : null,
  );
  placeBox(made, size, item.box);
  made.style.setProperty("--level", String(level));
  return made;
}

/** Puts an element where a box lies, whatever the size at which the photo is shown. */
export function placeBox(element, { width, height }, [left, top, right, bottom]) {
  element.style.setProperty("--left", `${(100 * left) / width}%`);
  element.style.setProperty("--top", `${(100 * top) / height}%`);
  element.style.setProperty("--width", `${(100 * (right - left)) / width}%`);
  element.style.setProperty("--height", `${(100 * (bottom - top)) / height}%`);
}

function sideOf({ width, height }, [left, , right, bottom]) {
  const centre = (left + right) / 2 / width;
  const across = centre < EDGE ? "at-left" : centre > 1 - EDGE ? "at-right" : "";
  return bottom > LOW * height ? `${across} over` : across;
}

function middle([, top, , bottom]) {
  return (top + bottom) / 2;
}

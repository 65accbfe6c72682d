// How a grid is moved in: by keys, by a mouse, by a finger.

import { failure } from "../frame/notices.js";

const HELD_MS = 450; // a finger that rests on a tile selects it

/** Listens to a grid's keys and pointers. @param {import("./grid.js").Grid} grid */
export function listenToGrid(grid) {
  const { element } = grid;
  element.addEventListener("keydown", (event) => pressed(grid, event));
  element.addEventListener("focus", () => grid.isThere(grid.spot) || begin(grid));
  element.addEventListener("click", (event) => clicked(grid, event));
  element.addEventListener("dblclick", (event) => doubled(grid, event));
  listenToFinger(grid);
}

/** The first tile becomes active, where none is. */
export function begin(grid) {
  const first = grid.firstTile();
  if (first && grid.layout) grid.go(first, { scroll: false });
}

/** Moves in a grid by a key; tells whether the key is one that moves. */
export function moveBy(grid, key) {
  if (!grid.layout?.rows) return false;
  if (!grid.isThere(grid.spot) && ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"].includes(key)) return begin(grid), true;
  const spot = moved(grid, key);
  if (spot) grid.go(spot);
  return spot !== undefined;
}

/** A key that moves, pressed where the grid has no focus: the first arrow begins at the first tile. */
export function stepInto(grid, key) {
  const isThere = grid.isThere(grid.spot);
  grid.element.focus({ preventScroll: true });
  if (isThere || !key.startsWith("Arrow")) moveBy(grid, key);
}

function pressed(grid, event) {
  if (event.altKey || event.isComposing) return;
  const isControl = event.ctrlKey || event.metaKey;
  if (isControl && event.key.toLowerCase() === "a") return done(event, selectAll(grid));
  const anchor = grid.spot;
  if (!isControl || ["Home", "End"].includes(event.key)) {
    if (moveBy(grid, event.key)) return done(event, event.shiftKey && extend(grid, anchor));
  }
  if (event.key === " ") return done(event, toggle(grid, grid.spot));
  if (event.key === "Enter" && !isControl) return done(event, enter(grid, event));
  if (event.key === "Escape" && grid.selection.size) return done(event, grid.selection.clear());
}

function done(event) {
  event.preventDefault();
  event.stopPropagation();
}

function moved(grid, key) {
  const { layout, spot } = grid;
  const row = layout.rowOf(spot);
  const column = layout.columnOf(spot);
  const page = Math.max(1, Math.floor(grid.element.clientHeight / layout.side) - 1);
  switch (key) {
    case "ArrowRight": return beside(grid, row, column, 1);
    case "ArrowLeft": return beside(grid, row, column, -1);
    case "ArrowDown": return toRow(grid, row + 1, 1);
    case "ArrowUp": return toRow(grid, row - 1, -1);
    case "PageDown": return toRow(grid, Math.min(layout.rows - 1, row + page), 1);
    case "PageUp": return toRow(grid, Math.max(0, row - page), -1);
    case "Home": return toRow(grid, 0, 1, 0);
    case "End": return toRow(grid, layout.rows - 1, -1, Infinity);
    default: return undefined;
  }
}

function beside(grid, row, column, step) {
  const { n } = grid.layout.row(row);
  if (column + step >= 0 && column + step < n) return grid.layout.spot(row, column + step);
  return toRow(grid, row + step, step, step > 0 ? 0 : Infinity);
}

/** The spot in the next row, in that direction, where one can stand; where there is none, the spot where one is. */
function toRow(grid, number, step, column = grid.wish ?? grid.layout.columnOf(grid.spot)) {
  for (let row = number; row >= 0 && row < grid.layout.rows; row += step) {
    const spot = grid.layout.spot(row, column);
    if (spot.index >= 0 || grid.sections[spot.section].foldable) return spot;
  }
  return grid.spot;
}

function extend(grid, anchor) {
  const section = grid.section();
  if (grid.spot.index < 0) return;
  if (!grid.selection.anchor && anchor.section === grid.spot.section) grid.selection.anchor = anchor;
  grid.selection.rangeTo(section, grid.spot).catch(failure);
}

function selectAll(grid) {
  if (grid.isThere(grid.spot)) grid.selection.everything(grid.section(), grid.spot.section).catch(failure);
}

function toggle(grid, spot) {
  const item = grid.item(spot);
  if (spot.index < 0) grid.fold(spot.section, !grid.section(spot).folded);
  else if (item) grid.selection.toggle(grid.section(spot), item, spot);
}

function enter(grid, event) {
  const item = grid.item();
  if (grid.spot.index < 0) grid.fold(grid.spot.section, !grid.section().folded);
  else if (grid.isThere(grid.spot)) grid.does.enter?.(item, grid.section(), event);
}

function spotOf(event) {
  return event.target.closest?.("[role=gridcell]")?.spot ?? null;
}

function clicked(grid, event) {
  const spot = spotOf(event);
  if (!spot || grid.wasHeld) return;
  if (spot.index < 0 && !grid.section(spot).foldable) return;
  const anchor = grid.spot;
  grid.go(spot, { scroll: false });
  if (spot.index < 0) grid.fold(spot.section, !grid.section(spot).folded);
  else if (event.shiftKey) extend(grid, anchor);
  else if (event.ctrlKey || event.metaKey || grid.isSelecting) toggle(grid, spot);
  else if (grid.item(spot)) grid.does.click?.(grid.item(spot), grid.section(spot), event);
}

function doubled(grid, event) {
  const spot = spotOf(event);
  if (!spot || spot.index < 0 || event.shiftKey || event.ctrlKey || event.metaKey) return;
  const item = grid.item(spot);
  if (item) grid.does.open?.(item, grid.section(spot), event);
}

/** A finger that rests on a tile selects it; while tiles are selected, a tap selects another. */
function listenToFinger(grid) {
  const { element } = grid;
  let timer = 0;
  const end = () => clearTimeout(timer);
  element.addEventListener("pointerdown", (event) => {
    grid.wasHeld = false;
    const spot = event.pointerType === "mouse" ? null : spotOf(event);
    if (!spot || spot.index < 0) return;
    timer = setTimeout(() => {
      grid.wasHeld = true;
      grid.isSelecting = true;
      grid.go(spot, { scroll: false });
      toggle(grid, spot);
    }, HELD_MS);
  });
  for (const event of ["pointerup", "pointercancel", "pointermove", "scroll"]) {
    element.addEventListener(event, (moving) => isFar(moving) && end());
  }
  element.addEventListener("contextmenu", (event) => grid.wasHeld && event.preventDefault());
}

function isFar(event) {
  return event.type !== "pointermove" || Math.abs(event.movementX) + Math.abs(event.movementY) > 6;
}

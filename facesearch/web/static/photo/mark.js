// Draws the box of a person whom facesearch has not found: by mouse, by touch, by keyboard or by buttons.

import { button, h } from "../frame/dom.js";
import { photoTexts as texts } from "../texts.js";
import { placeBox } from "./boxes.js";

const STEP = 0.01; // of the photo's longer side: what an arrow moves
const LEAST = 0.01; // of it: the smallest box that can be drawn
const FIRST = 0.2; // of its shorter side: the box that keys begin with

/**
 * Lets the user draw a box in `frame`, which shows a photo of `size`. `done` gets the box as [left, top, right,
 * bottom] in pixels of the photo, `left` is called where they leave it, `say` gets sentences for screen readers.
 * Returns the `tools` to show, and `end()`.
 */
export function drawBox({ frame, size, done, left, say }) {
  const longer = Math.max(size.width, size.height);
  let box = middleBox(size);
  const drawn = h("div", { class: "drawn-box", tabindex: "0", role: "group", "aria-label": texts.drawnBox });
  const layer = h("div", { class: "draw-layer" }, drawn);

  function set(next, isSaid = true) {
    box = within(next, size, LEAST * longer);
    placeBox(drawn, size, box);
    if (isSaid) say(texts.boxAt(...shares(box, size)));
  }
  const move = (x, y) => set(moved(box, x * STEP * longer, y * STEP * longer, size));
  const grow = (x, y) => set([box[0], box[1], box[2] + x * STEP * longer, box[3] + y * STEP * longer]);

  function onKey(event) {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (by) (event.shiftKey ? grow : move)(...by);
    else if (event.key === "Enter" && event.target === drawn) done(box);
    else if (event.key === "Escape") left();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  drawn.addEventListener("keydown", onKey);
  const ended = () => {
    set(box);
    drawn.focus({ preventScroll: true });
  };
  dragged(layer, size, { now: () => box, set: (next) => set(next, false), ended });

  frame.append(layer);
  set(box);
  drawn.focus({ preventScroll: true });
  drawn.scrollIntoView({ block: "nearest" });
  return { tools: toolsOf({ move, grow, done: () => done(box), left, onKey }), end: () => layer.remove() };
}

function toolsOf({ move, grow, done, left, onKey }) {
  const small = (words, label, act) => button(words, act, { label, kind: "quiet" });
  const tools = h(
    "div",
    { class: "draw-tools", role: "group", "aria-label": texts.drawTools },
    h("p", { class: "draw-help" }, texts.drawHelp),
    h(
      "div",
      { class: "draw-buttons" },
      small("←", texts.boxLeft, () => move(-1, 0)), small("→", texts.boxRight, () => move(1, 0)),
      small("↑", texts.boxUp, () => move(0, -1)), small("↓", texts.boxDown, () => move(0, 1)),
      button(texts.boxWider, () => grow(1, 0)), button(texts.boxNarrower, () => grow(-1, 0)),
      button(texts.boxTaller, () => grow(0, 1)), button(texts.boxLower, () => grow(0, -1)),
    ),
    h(
      "div",
      { class: "draw-buttons" },
      button(texts.boxDone, done, { kind: "main", key: "Enter" }), button(texts.cancel, left, { key: "Esc" }),
    ),
  );
  tools.addEventListener("keydown", (event) => event.key === "Escape" && onKey(event));
  return tools;
}

// Dragging inside the box moves it, anywhere else draws a new one. Pointer events are those of mouse, pen and touch.
function dragged(layer, size, { now, set, ended }) {
  let from = null;
  let held = null;
  const at = (event) => {
    const seen = layer.getBoundingClientRect();
    return [
      ((event.clientX - seen.left) / seen.width) * size.width,
      ((event.clientY - seen.top) / seen.height) * size.height,
    ];
  };
  layer.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    layer.setPointerCapture(event.pointerId);
    from = at(event);
    held = event.target === layer ? null : now();
  });
  layer.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = at(event);
    set(held ? moved(held, x - from[0], y - from[1], size) : between(from, [x, y]));
  });
  for (const name of ["pointerup", "pointercancel"]) {
    layer.addEventListener(name, () => {
      if (from) ended();
      from = null;
    });
  }
}

function middleBox({ width, height }) {
  const half = (FIRST * Math.min(width, height)) / 2;
  return [width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half];
}

function between([x, y], [x2, y2]) {
  return [Math.min(x, x2), Math.min(y, y2), Math.max(x, x2), Math.max(y, y2)];
}

function moved([l, t, r, b], x, y, { width, height }) {
  const across = Math.max(-l, Math.min(width - r, x));
  const down = Math.max(-t, Math.min(height - b, y));
  return [l + across, t + down, r + across, b + down];
}

// Inside the photo, and not smaller than `least` pixels.
function within([l, t, r, b], { width, height }, least) {
  const left = Math.max(0, Math.min(l, width - least));
  const top = Math.max(0, Math.min(t, height - least));
  return [left, top, Math.min(width, Math.max(r, left + least)), Math.min(height, Math.max(b, top + least))];
}

function shares([l, t, r, b], { width, height }) {
  const share = (value, of) => Math.round((100 * value) / of);
  return [share(l, width), share(t, height), share(r - l, width), share(b - t, height)];
}

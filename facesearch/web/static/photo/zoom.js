// A photo that can be looked at closely: zoomed by buttons, keys and a wheel with Ctrl, moved by scrolling.

import { get } from "../frame/api.js";
import { button, h } from "../frame/dom.js";
import { photoTexts as texts } from "../texts.js";

const STEPS = [1, 1.5, 2, 3, 4, 6, 8];
const LATE_MS = 500; // a photo that takes longer is said to be on its way
const SMALL_SIDE = 1024; // pixels: enough for a phone, and a quarter of the bytes
const LARGE_SIDE = 2048; // the largest that the server makes

/**
 * A stage that shows a photo of `size` ({width, height}) as large as fits, at `source(side)`. Returns its `element`,
 * the `frame` that lies exactly over the `picture` and takes boxes, its `controls`, `zoom(by, box)`, by steps, about
 * what is seen or a box, and the `side` that was asked for first.
 */
export function makeStage(size, source, alt) {
  const picture = h("img", { class: "photo-picture", alt, decoding: "async", draggable: "false" });
  const frame = h("div", { class: "photo-frame" }, picture);
  const element = h("div", { class: "photo-stage" }, frame);
  element.style.setProperty("--ratio", String(size.width / size.height));
  let step = 0;
  let shown = 0;

  function show(side) {
    if (side <= shown) return;
    shown = side;
    picture.src = source(side);
  }

  // Points as shares of the photo's width and height.
  const middleOf = ([l, t, r, b]) => [(l + r) / 2 / size.width, (t + b) / 2 / size.height];
  const middleSeen = () => [
    (element.scrollLeft + element.clientWidth / 2) / (frame.clientWidth || 1),
    (element.scrollTop + element.clientHeight / 2) / (frame.clientHeight || 1),
  ];

  function zoom(by, about = null) {
    const [x, y] = about ? middleOf(about) : middleSeen();
    step = by === 0 ? 0 : Math.max(0, Math.min(STEPS.length - 1, step + by));
    frame.style.setProperty("--zoom", String(STEPS[step]));
    element.classList.toggle("zoomed", step > 0);
    element.scrollTo(x * frame.clientWidth - element.clientWidth / 2, y * frame.clientHeight - element.clientHeight / 2);
    if (step > 0) show(LARGE_SIDE);
    smaller.disabled = whole.disabled = step === 0;
    larger.disabled = step === STEPS.length - 1;
    percent.value = texts.zoomed(STEPS[step]);
  }

  const smaller = button("−", () => zoom(-1), { label: texts.zoomOut, kind: "quiet" });
  const larger = button("+", () => zoom(1), { label: texts.zoomIn, kind: "quiet" });
  const whole = button(texts.zoomWhole, () => zoom(0));
  const percent = h("output", { class: "zoom-now" });
  const controls = h(
    "div",
    { class: "zoom-controls", role: "group", "aria-label": texts.zoom },
    smaller, percent, larger, whole,
  );
  element.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1 : -1);
    },
    { passive: false },
  );
  const words = h("p", { class: "stage-words", role: "status", hidden: true }, texts.loading);
  element.append(words);
  const late = setTimeout(() => (words.hidden = false), LATE_MS);
  picture.addEventListener("load", () => (clearTimeout(late), words.remove()), { once: true });
  picture.addEventListener("error", () => (clearTimeout(late), words.remove()), { once: true });
  picture.addEventListener("error", () => sayWhy(element, source(shown)), { once: true });
  const side = window.innerWidth * window.devicePixelRatio <= SMALL_SIDE ? SMALL_SIDE : LARGE_SIDE;
  show(side);
  zoom(0);
  return { element, frame, controls, zoom, picture, side, isZoomed: () => step > 0 };
}

// A picture that does not come says nothing; the server's own sentence is asked for.
async function sayWhy(element, source) {
  const words = h("p", { class: "stage-words", role: "status" }, texts.cannotShow);
  element.classList.add("photo-gone");
  element.append(words);
  await get(source).catch((error) => error.kind !== "lost" && words.replaceChildren(error.message));
}

// Pictures of tiles: those that are seen first, and none is waited for that has left the view. What was loaded is kept
// for a while, so that a way back shows it at once.

import { markGone } from "../frame/dom.js";

const AT_ONCE = 8; // a browser has six connections to a host; more only wait in its own line
const KEPT = 600; // loaded pictures out of the view: 112 pixels square each, 50 KB decoded
const QUIET_MS = 70; // without a tile coming or going, before pictures are asked for while the view moves fast

const TRIES = 2;
const AGAIN_MS = 1_500;
const REST_MS = 500; // with nothing to load, before larger pictures are asked for
const AT_ONCE_SHARP = 4;
const SOFT_PX = 160; // of the screen: a picture of 112 pixels looks soft beyond
const SMALL = /^\/api\/faces\/\d+\/image$/;

const kept = new Map(); // url -> img, the one used last at the end
const failed = new Map(); // url -> how often: a server that has too much to do gives up, too

/** Forgets which pictures could not be had, so that they are asked for again. */
export function forgetFailed() {
  failed.clear();
}

/** The pictures of one grid. */
export class Images {
  /** @param {HTMLElement} view what they are in */
  constructor(view) {
    this.view = view;
    this.sharpening = new Map(); // a larger picture on its way -> the one it is for
    this.waiting = new Set();
    this.loading = new Set();
    this.timer = 0;
  }

  /** An image for this address: one that is there already, or one that is loaded when its turn comes. */
  take(url) {
    const ready = kept.get(url);
    if (ready) {
      kept.delete(url);
      return ready;
    }
    const image = bare(url);
    if (failed.get(url) >= TRIES) markGone(image);
    else if (url) this.waiting.add(image);
    this.later();
    return image;
  }

  /** Takes an image back that is no longer seen. */
  release(image) {
    const { url } = image.dataset;
    this.waiting.delete(image);
    if (this.loading.delete(image)) {
      image.onload = image.onerror = null;
      image.removeAttribute("src");
      this.later();
    } else if (image.complete && image.naturalWidth && !image.classList.contains("gone")) keep(url, image);
  }

  later() {
    this.stopSharpening();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.next(), this.loading.size || this.waiting.size > 60 ? QUIET_MS : 16);
  }

  next() {
    const nearest = [...this.waiting].filter((image) => image.isConnected).sort(order);
    for (const image of nearest.slice(0, AT_ONCE - this.loading.size)) this.load(image);
    if (!this.loading.size) this.resting = setTimeout(() => this.sharpen(), REST_MS);
  }

  missed(image) {
    const { url } = image.dataset;
    failed.set(url, (failed.get(url) ?? 0) + 1);
    if (failed.get(url) >= TRIES) return markGone(image);
    image.removeAttribute("src");
    setTimeout(() => image.isConnected && (this.waiting.add(image), this.later()), AGAIN_MS);
  }

  /** Where the screen shows more pixels than a small picture has, and nothing else is to be loaded: larger ones. */
  sharpen() {
    if (!this.view?.isConnected) return;
    const soft = [...this.view.querySelectorAll("img")].filter(isSoft).sort(order).slice(0, AT_ONCE_SHARP);
    for (const image of soft) this.sharpenOne(image);
  }

  sharpenOne(image) {
    const sharp = bare(image.dataset.url);
    this.sharpening.set(sharp, image);
    sharp.dataset.sharp = image.dataset.sharp = "";
    sharp.onload = () => {
      this.sharpening.delete(sharp);
      if (image.isConnected) image.replaceWith(sharp);
      if (!this.sharpening.size) this.sharpen();
    };
    sharp.onerror = () => this.sharpening.delete(sharp);
    sharp.src = `${image.dataset.url}?side=224`;
  }

  stopSharpening() {
    clearTimeout(this.resting);
    for (const [sharp, image] of this.sharpening) {
      sharp.onload = sharp.onerror = null;
      sharp.removeAttribute("src");
      delete image.dataset.sharp;
    }
    this.sharpening.clear();
  }

  load(image) {
    this.waiting.delete(image);
    this.loading.add(image);
    const ended = () => {
      this.loading.delete(image);
      this.next();
    };
    image.onload = ended;
    image.onerror = () => {
      image.onload = null;
      this.missed(image);
      ended();
    };
    image.src = image.dataset.url;
  }
}

function bare(url) {
  const image = new Image();
  image.alt = "";
  image.draggable = false;
  image.decoding = "async";
  image.dataset.url = url;
  return image;
}

function isSoft(image) {
  if (!SMALL.test(image.dataset.url) || "sharp" in image.dataset || image.classList.contains("gone")) return false;
  return image.parentElement.parentElement.away === 0 && image.clientWidth * window.devicePixelRatio > SOFT_PX;
}

/** Below zero where `a` is to be loaded before `b`: what is seen goes before what is near, as one reads. */
function order(a, b) {
  const [one, other] = [a.parentElement, b.parentElement];
  const away = (one.parentElement?.away ?? 0) - (other.parentElement?.away ?? 0);
  return away || (one.parentElement?.at?.top ?? 0) - (other.parentElement?.at?.top ?? 0) || one.spot.index - other.spot.index;
}

function keep(url, image) {
  kept.set(url, image);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

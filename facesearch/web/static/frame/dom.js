// Elements, made without markup in strings: what a user wrote can never become a part of the page's own structure.

/**
 * An element with attributes and children. `class`, `hidden` and the like are attributes; a value of null, undefined
 * or false leaves one out, true sets it empty; `on` holds listeners by event name. Children are nodes or texts.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node|string|number|null|undefined|false)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") listen(element, value);
    else set(element, name, value);
  }
  element.append(...children.flat().filter(isShown));
  return element;
}

/** Sets an attribute, or takes it away where the value is null, undefined or false. */
export function set(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** A name that somebody wrote, which may run from right to left, apart from the text around it. */
export function isolated(text, attributes = {}) {
  return h("bdi", { dir: "auto", ...attributes }, text);
}

/**
 * A button. `key` is the key that does the same, shown beside the words; `kind` is a class: plain, main, quiet, danger.
 * @param {string} words
 * @param {(event: MouseEvent) => void} action
 * @param {{kind?: string, key?: string, label?: string, disabled?: boolean}} [options]
 */
export function button(words, action, { kind = "plain", key, label, disabled } = {}) {
  const hint = key && h("kbd", { "aria-hidden": "true" }, key);
  const shortcut = key ? key.toLowerCase() : null;
  const attributes = { type: "button", class: `button ${kind}`, "aria-label": label, disabled, on: { click: action } };
  return h("button", { ...attributes, "aria-keyshortcuts": shortcut }, words, hint);
}

/** Stands in the place of a picture that cannot be had. */
export const GONE = "/static/face.svg";

/** A picture; a head in outline stands for one that cannot be had. @param {string|null} src */
export function picture(src, attributes = {}) {
  const image = h("img", { alt: "", decoding: "async", ...attributes });
  show(image, src);
  return image;
}

/** Shows another picture in an image that `picture` made. */
export function show(image, src) {
  image.onerror = () => markGone(image);
  image.classList.remove("gone");
  set(image, "src", src);
}

/** Shows that a picture cannot be had. */
export function markGone(image) {
  image.onerror = null;
  image.classList.add("gone");
  image.src = GONE;
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter(isShown));
  return element;
}

/** Whether an event goes to a place where the user types. */
export function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["button", "checkbox", "radio", "range", "file"].includes(target.type);
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

function listen(element, listeners) {
  for (const [event, listener] of Object.entries(listeners)) element.addEventListener(event, listener);
}

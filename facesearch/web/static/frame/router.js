// Addresses: a link shows another view without loading the document anew, and back returns to the same place.

const OURS = /^\/(people|questions|photos|search|log|gallery)(\/|$)/;

/** @typedef {{path: string, id: number|null, query: URLSearchParams, place: object|null}} Address
 * `place` is what keepPlace was given at this entry of the history, null on a new one. */

const SOON_MS = 250; // browsers refuse more than some changes of an address in a second

let listener = () => {};
let soon = null;
let steps = 0; // within the page, so that back does not leave it

/** Calls a listener with the address now and whenever it changes. */
export function onAddress(listens) {
  listener = listens;
  listener({ ...here(), isFirst: true });
}

/** Goes to an address within the page. */
export function navigate(href, { replace = false } = {}) {
  keepNow();
  if (replace) history.replaceState(null, "", href);
  else {
    history.pushState(null, "", href);
    steps += 1;
  }
  listener(here());
}

/** Goes back, or to an address where the page was opened here. */
export function goBack(otherwise) {
  if (steps > 0) history.back();
  else navigate(otherwise);
}

/**
 * Remembers where the user is in this entry of the history: `place` comes back to mount when they return. What `query`
 * has is put behind the question mark; null takes it away.
 * @param {object} place
 * @param {Record<string, string|number|null>} [query]
 */
export function keepPlace(place, query = {}) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(query)) {
    if (value === null) address.searchParams.delete(name);
    else address.searchParams.set(name, String(value));
  }
  const next = { ...history.state, ...place };
  if (address.href === location.href && JSON.stringify(next) === JSON.stringify(history.state)) return;
  history.replaceState(next, "", address);
}

/** As keepPlace, a little later or when this page is left: for a place that changes with every key. */
export function keepPlaceSoon(place, query = {}) {
  clearTimeout(soon?.timer);
  soon = { path: location.pathname, place, query, timer: setTimeout(keepNow, SOON_MS) };
}

function keepNow() {
  const kept = soon;
  soon = null;
  clearTimeout(kept?.timer);
  if (kept?.path === location.pathname) keepPlace(kept.place, kept.query);
}

function here() {
  return { path: location.pathname, query: new URLSearchParams(location.search), place: history.state };
}

window.addEventListener("popstate", () => {
  clearTimeout(soon?.timer);
  soon = null;
  steps = Math.max(0, steps - 1);
  listener(here());
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.target || link.hasAttribute("download")) return;
  const address = new URL(link.href);
  if (address.origin !== location.origin || !OURS.test(address.pathname)) return;
  event.preventDefault();
  navigate(address.pathname + address.search);
});

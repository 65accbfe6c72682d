// What the gallery is at now: its version grows with every change, by whichever process. Asked for while the page is
// seen; a second tab that wrote something says so at once.

import { frame } from "../texts.js";
import { get } from "./api.js";
import { say, showBanner } from "./notices.js";

const EVERY_MS = 700;
const UNKNOWN = { version: null, run: null };
const LOST_AFTER = 2; // questions in a row without an answer

const listeners = new Set();
const tabs = new BroadcastChannel("facesearch");
let latest = null;
let failed = 0;
let timer = 0;
let asking = null;

/**
 * Calls a listener with each state that differs from the one before: {gallery, version, run}, and whether the server
 * is back after it was lost.
 * @param {(state: {version: unknown, run: object|null}, before: object|null, isBack?: boolean) => void} listener
 * @returns {() => void} ends it
 */
export function watch(listener) {
  listeners.add(listener);
  if (latest) listener(latest, null);
  return () => listeners.delete(listener);
}

/** The latest state, or null. */
export function now() {
  return latest;
}

/** Asks now, and has other tabs ask. */
export function poke() {
  tabs.postMessage("changed");
  return poll();
}

/** Begins to ask. */
export function begin() {
  tabs.addEventListener("message", poll);
  document.addEventListener("visibilitychange", () => document.hidden || poll());
  return poll();
}

function poll() {
  asking ??= once().finally(() => {
    asking = null;
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(poll, EVERY_MS);
  });
  return asking;
}

async function once() {
  try {
    heard(await get("/api/state"));
  } catch (error) {
    missed(error);
  }
}

function heard(state) {
  const isBack = failed >= LOST_AFTER;
  if (isBack) {
    showBanner(null);
    say(frame.back);
  }
  failed = 0;
  const before = latest ?? UNKNOWN; // what a view has read by now may be older than the first state that is heard
  latest = state;
  if (!isBack && before.version === state.version && JSON.stringify(before.run) === JSON.stringify(state.run)) return;
  for (const listener of [...listeners]) listener(state, before, isBack);
}

function missed(error) {
  failed += 1;
  if (["ended", "other_gallery"].includes(error.kind)) showBanner(error.message, "failed");
  else if (failed >= LOST_AFTER) showBanner(frame.lost, "failed");
}

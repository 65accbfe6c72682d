// What the user says, in the order in which it was said. The view moves first; a write that fails moves it back and
// says why. One write is on its way at a time: waiting for answers named faces twice or not at all.

import { frame } from "../texts.js";
import { post } from "./api.js";
import { failure, notice } from "./notices.js";
import { poke, watch } from "./state.js";

const KEPT = 200; // writes that U can take back
const STORE = "facesearch.undo"; // in sessionStorage, so that a page loaded again still takes back

/**
 * @typedef {object} Write
 * @property {string} path
 * @property {object} [body]
 * @property {string} words what it does, as "Named Ann"
 * @property {boolean} [isQuiet] no notice says that it was done: the view shows that itself
 * @property {() => void} [revert] puts the view back
 * @property {() => void} [again] moves the view once more, where the write is done again
 * @property {(done: object) => void} [settle] takes what the server did
 * @property {(error: object) => Promise<{path?: string, body: object}|null>} [decide] for an answer 409: asks the user,
 *   and gives what is to be sent in place of it, or null
 */

/** @type {{write: Write, resolve: Function, path: string, body: object}[]} */
const waiting = [];
const listeners = new Set();
const undoable = remembered();
let running = false;

/**
 * Puts a write at the end of the queue.
 * @param {Write} write
 * @returns {Promise<object|null>} what was done, or null where it was refused
 */
export function send(write) {
  return put(write, waiting.length);
}

function put(write, place) {
  return new Promise((resolve) => {
    waiting.splice(place, 0, { write, resolve, path: write.path, body: write.body ?? {} });
    tell();
    run();
  });
}

/** How many writes wait or are on their way. */
export function pending() {
  return waiting.length;
}

/** Calls a listener with that number whenever it changes. Gives what ends it. */
export function onPending(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether there is something to take back. */
export function canUndo() {
  return undoable.length > 0 || waiting.some(({ write, isToUndo }) => !write.isUndo && !isToUndo);
}

/** Takes back the newest write of this page: one that still waits is never sent, one on its way is undone after it. */
export function undoLast() {
  const last = waiting.findLast(({ write, isToUndo }) => !write.isUndo && !isToUndo);
  if (last) return last === waiting[0] ? undoOnceDone(last) : withdraw(last);
  const done = undoable.pop();
  if (done) return undo(done);
  notice(frame.nothingToUndo, { slot: "done", actions: [{ words: frame.toLog, run: () => location.assign("/log") }] });
}

function withdraw(item) {
  leave(item, null);
  item.write.revert?.();
  if (!item.write.isQuiet) notice(frame.undone(item.write.words), { slot: "done", kind: "done" });
}

function undoOnceDone(item) {
  item.isToUndo = true;
  item.write.revert?.();
  tell();
}

function undo(done) {
  done.write?.revert?.();
  sendUndo(done, waiting.length);
  remember();
}

function sendUndo({ change, words, write }, place) {
  const back = { path: "/api/undo", body: { change }, words: frame.undone(words), isUndo: true, isQuiet: write?.isQuiet };
  put({ ...back, revert: () => write?.again?.(), again: () => write?.revert?.() }, place);
}

async function run() {
  if (running) return;
  running = true;
  while (waiting.length) await one(waiting[0]);
  running = false;
}

async function one(item) {
  try {
    finished(item, await post(item.path, item.body));
  } catch (error) {
    if (error.kind === "lost") await reachable();
    else await refused(item, error);
  }
}

function finished(item, done) {
  const { write } = item;
  const change = done.change ?? null;
  const isToStay = !write.isUndo && change !== null && !item.isToUndo;
  if (isToStay) kept({ change, words: write.words, write });
  leave(item, done);
  if (item.isToUndo && change !== null) return sendUndo({ change, words: write.words, write }, 0);
  write.settle?.(done);
  poke();
  for (const note of done.notes ?? []) notice(note, { kind: "plain" });
  if (write.isQuiet && change !== null) return;
  const actions = write.isUndo || change === null ? [] : [{ words: frame.undo, key: "U", run: undoLast }];
  notice(change === null && !write.isUndo ? frame.alreadySo : write.words, { kind: "done", slot: "done", actions });
}

async function refused(item, error) {
  const next = error.status === 409 && item.write.decide ? await item.write.decide(error) : null;
  if (next) {
    Object.assign(item, next);
    return;
  }
  leave(item, null);
  if (item.isToUndo) return;
  item.write.revert?.();
  if (error.status === 409 && item.write.decide) return;
  failure(named(item.write.words, error), { retry: () => (item.write.again?.(), send(item.write)) });
}

function named(words, error) {
  return { message: frame.notDone(words, error.message) };
}

function leave(item, done) {
  waiting.splice(waiting.indexOf(item), 1);
  item.resolve(done);
  tell();
}

function reachable() {
  return new Promise((resolve) => {
    const timer = setTimeout(go, 1000);
    const end = watch((_, before) => before && go());
    function go() {
      clearTimeout(timer);
      queueMicrotask(() => end());
      resolve();
    }
  });
}

function kept(done) {
  undoable.push(done);
  if (undoable.length > KEPT) undoable.shift();
  remember();
}

function remember() {
  sessionStorage.setItem(STORE, JSON.stringify(undoable.map(({ change, words }) => ({ change, words }))));
  tell();
}

function remembered() {
  try {
    const found = JSON.parse(sessionStorage.getItem(STORE) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

function tell() {
  for (const listener of [...listeners]) listener(waiting.length);
}

window.addEventListener("beforeunload", (event) => {
  if (waiting.length) event.preventDefault();
});

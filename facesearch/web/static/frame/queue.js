// What the user says, in the order in which it was said. The view moves first; a write that fails moves it back and
// says why. One write is on its way at a time: waiting for answers named faces twice or not at all.

import { frame } from "../texts.js";
import { post } from "./api.js";
import { failure, notice } from "./notices.js";
import { tellNotDone } from "./not_done.js";
import { navigate } from "./router.js";
import { poke, watch } from "./state.js";

const STAYS = new Set(["lost", "other_gallery"]); // what fails so is sent again when its server is back
const KEPT = 200; // writes that U can take back
// In sessionStorage: a page that is loaded again still takes back, and learns what became of the write on its way.
const UNDOABLE = `facesearch.undo.${document.body.dataset.gallery}`;
const SENT = `facesearch.sent.${document.body.dataset.gallery}`;
const ASKED_AFTER_MS = 60_000; // no longer: other things were said since, and a server may be another one

/**
 * @typedef {object} Write
 * @property {string} path
 * @property {object} [body]
 * @property {string} words what it does, as "Named Ann"
 * @property {{change: number}} [undoes] what it takes back, of those that U takes back
 * @property {boolean} [isQuiet] no notice says that it was done: the view shows that itself
 * @property {() => void} [revert] puts the view back
 * @property {() => void} [again] moves the view once more, where the write is done again
 * @property {(done: object) => void} [settle] takes what the server did
 * @property {(error: object) => Promise<{path?: string, body: object}|null>} [decide] for an answer 409: asks the user,
 *   and gives what is to be sent in place of it, or null
 */

/**
 * @typedef {object} Item
 * @property {Write} write
 * @property {(done: object|null) => void} resolve
 * @property {string} path
 * @property {object} body
 * @property {string} id by which the server knows it when it is sent again
 * @property {number} [at] when it was sent, in milliseconds
 * @property {number} [turn] none where the page was loaded since
 * @property {boolean} [isToUndo] to be taken back once it is done
 * @property {boolean} [wasLost] it was sent before, and the answer did not come
 * @property {boolean} [wasLeft] because the page was left
 */

/** @type {Item[]} */
const waiting = [];
const listeners = new Set();
const undoable = stored(UNDOABLE);
let running = false;
let begun = 0; // writes, ever
let turn = 0; // grows when a page is left: what would move it moves nothing any more

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
    begun += 1;
    waiting.splice(place, 0, { write, resolve, path: write.path, body: write.body ?? {}, id: crypto.randomUUID(), turn });
    changed();
    run();
  });
}

/** How many writes wait or are on their way. */
export function pending() {
  return waiting.length;
}

/**
 * Called before something is read. Gives what tells afterwards whether that knows all that was written: nothing was on
 * its way then, and nothing was begun since. A view moves before its write is sent, so reads that the move begins do
 * not know of it.
 * @returns {() => boolean}
 */
export function reading() {
  const before = begun;
  const wasQuiet = waiting.length === 0;
  return () => wasQuiet && begun === before;
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
  if (undoable.length) return undo(undoable.at(-1));
  notice(frame.nothingToUndo, { slot: "done", actions: [{ words: frame.toLog, run: () => navigate("/log") }] });
}

function withdraw(item) {
  leave(item, null);
  item.write.revert?.();
  if (!item.write.isQuiet) notice(frame.undone(item.write.words), { slot: "done", kind: "done" });
}

function undoOnceDone(item) {
  item.isToUndo = true;
  item.write.revert?.();
  changed();
}

/** Forgets how what was done is shown: the page that showed it is left. */
export function forgetView() {
  turn += 1;
  for (const done of undoable) delete done.write;
}

/** Takes back one change of this page, unless that was done before. */
function undo(done) {
  const at = undoable.indexOf(done);
  if (at < 0) return;
  undoable.splice(at, 1);
  done.write?.revert?.();
  sendUndo(done, waiting.length);
}

function sendUndo(done, place) {
  const { change, words, isQuiet, write } = done;
  const back = { path: "/api/undo", body: { change }, words: frame.undone(words), isUndo: true, isQuiet, undoes: done };
  put({ ...back, revert: () => write?.again?.(), again: () => write?.revert?.() }, place);
}

async function run() {
  if (running) return;
  running = true;
  while (waiting.length) await one(waiting[0]);
  running = false;
}

// Whatever goes wrong with one, the next is sent.
async function one(item) {
  try {
    const error = await sent(item);
    if (error) await refused(item, error);
  } catch (error) {
    item.wasLost = STAYS.has(error.kind);
    if (item.wasLost) return reachable();
    console.error(error);
    leave(item, null);
  }
  return undefined;
}

async function sent(item) {
  item.at = Date.now();
  remember();
  let done = null;
  try {
    done = await post(item.path, item.body, { id: item.id, wait: null });
  } catch (error) {
    if (STAYS.has(error.kind)) throw error;
    return error;
  }
  finished(item, done);
  return null;
}

function finished(item, done) {
  const { write } = item;
  const change = done.change ?? null;
  const isToStay = !write.isUndo && change !== null && !item.isToUndo;
  const undone = { change, words: write.words, isQuiet: write.isQuiet, write: item.turn === turn ? write : undefined };
  if (isToStay) kept(undone);
  leave(item, done);
  if (item.isToUndo && change !== null) return sendUndo(undone, 0);
  write.settle?.(done);
  poke();
  for (const note of done.notes ?? []) notice(note, { kind: "plain" });
  if (write.isQuiet && change !== null) return;
  const actions = write.isUndo || change === null ? [] : [{ words: frame.undo, key: waiting.length ? undefined : "U", run: () => undo(undone) }];
  notice(change === null && !write.isUndo ? frame.alreadySo : write.words, { kind: "done", slot: "done", actions });
}

async function refused(item, error) {
  const { write } = item;
  if (item.isToUndo) return leave(item, null); // nothing was done, and nothing is wanted
  if (item.wasLost && write.isUndo && error.kind === "nothing_to_undo") return leave(item, null); // it was done then
  const isToDecide = error.status === 409 && write.decide;
  const next = isToDecide ? await decided(write, error) : null;
  if (next && !item.isToUndo) return changed(Object.assign(item, next, { id: crypto.randomUUID() }));
  leave(item, null);
  if (item.isToUndo) return undefined;
  write.revert?.();
  if (write.undoes && error.status !== 409) kept(write.undoes); // it holds, and can be taken back later
  const isInVain = error.status === 409 && item.wasLeft; // nobody can be asked any more
  if (!isToDecide) tellNotDone({ words: write.words, reason: error.message, retry: isInVain ? null : () => retry(write) });
  return undefined;
}

// Who is asked may have left, or what the question needs cannot be read.
async function decided(write, error) {
  try {
    return await write.decide(error);
  } catch (thrown) {
    if (STAYS.has(thrown.kind)) throw thrown; // it is sent again, and asked about then
    failure(thrown, { slot: "call" });
    return null;
  }
}

function retry(write) {
  if (write.undoes) return undo(write.undoes);
  write.again?.();
  return send(write);
}

function leave(item, done) {
  const at = waiting.indexOf(item);
  if (at < 0) return;
  waiting.splice(at, 1);
  item.resolve(done);
  changed();
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
  undoable.sort((a, b) => a.change - b.change); // one whose undo was refused goes back to its place
  if (undoable.length > KEPT) undoable.shift();
  changed();
}

function changed() {
  remember();
  for (const listener of [...listeners]) listener(waiting.length);
}

function remember() {
  store(UNDOABLE, undoable.map(plain));
  store(SENT, waiting.filter(({ at }) => at).map(({ resolve, turn: _, write, ...item }) => ({ ...item, write: plain(write) })));
}

/** Without what moves the view, which is gone by then. */
function plain({ write, body, ...known }) {
  return known.undoes ? { ...known, undoes: plain(known.undoes) } : known;
}

// Without room, or where the user allows none, the page goes on and forgets when it is left.
function store(name, items) {
  try {
    sessionStorage.setItem(name, JSON.stringify(items));
  } catch (error) {
    console.warn(error);
  }
}

function stored(name) {
  try {
    const found = JSON.parse(sessionStorage.getItem(name) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

/** Asks for the answer that the page was left before: what the server has done meanwhile it does not do again. */
function askForAnswer() {
  const left = stored(SENT).filter(({ at }) => Math.abs(Date.now() - at) < ASKED_AFTER_MS);
  const begunAgain = { wasLeft: true, wasLost: true, resolve: () => {} };
  waiting.push(...left.map((item) => ({ ...item, ...begunAgain, write: { ...item.write, body: item.body } })));
  changed();
  run();
}

window.addEventListener("beforeunload", (event) => {
  if (waiting.length) event.preventDefault();
});

askForAnswer();

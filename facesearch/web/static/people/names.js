// The names that the gallery knows, for completion without waiting: kept here, and read again when the gallery changes.

import { get } from "../frame/api.js";
import { now } from "../frame/state.js";

const PART = 500;
const FRESH_MS = 5_000;
const AT_MOST = 5_000; // names kept here; the server is asked for others

/** @typedef {{id: number, name: string, faces: number, cover: number|null, same?: boolean|null, judged?: number|null}} Named */

/** @type {Map<number, Named & {folded: string}>} */
const known = new Map();
let version = null;
let readAt = 0;
let loading = null;

/** Text as it is compared: case and accents do not count. */
export function fold(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/\s+/gu, " ").trim();
}

/** Reads the names where the gallery has changed since. */
export function loadNames() {
  const latest = now()?.version ?? null;
  const isRecent = performance.now() - readAt < FRESH_MS; // names that are given here are learnt without reading
  if (loading || (version !== null && (isRecent || latest === version))) return loading ?? Promise.resolve();
  loading = readAll()
    .then((read) => {
      version = read;
      readAt = performance.now();
    })
    .finally(() => (loading = null));
  return loading;
}

/** Takes up a name that was just given, so that it is known before the server says so. Gives what takes it back. */
export function learn(person) {
  const before = known.get(person.id);
  keep(person);
  return () => (before ? known.set(person.id, before) : known.delete(person.id));
}

/** The people who are named so. */
export function namesakes(name) {
  const wanted = fold(name);
  return [...known.values()].filter((each) => each.folded === wanted);
}

/** At most n people whose names have this in them, those that begin with it first, then by alphabet. */
export function matching(q, n = 8) {
  const wanted = fold(q);
  const found = [...known.values()].filter((each) => !wanted || rank(each.folded, wanted) < 3);
  found.sort((a, b) => rank(a.folded, wanted) - rank(b.folded, wanted) || a.name.localeCompare(b.name));
  return found.slice(0, n);
}

/**
 * The likeliest people for a group or a face first, then those whose names have `q` in them.
 * @param {{person?: number, face?: number, q?: string, signal?: AbortSignal}} about
 * @returns {Promise<Named[]>}
 */
export async function likeliest({ person, face, q, signal }) {
  return (await get("/api/names", { person, face, q: q || null }, { signal })).names;
}

function rank(folded, wanted) {
  if (folded.startsWith(wanted)) return 0;
  if (folded.includes(` ${wanted}`)) return 1;
  return folded.includes(wanted) ? 2 : 3;
}

function keep(person) {
  known.set(person.id, { ...person, folded: fold(person.name) });
}

async function readAll() {
  const found = [];
  let answer = { total: 1, version: null };
  while (found.length < Math.min(answer.total, AT_MOST)) {
    answer = await get("/api/people", { list: "named", first: found.length, n: PART });
    found.push(...answer.people);
    if (!answer.people.length) break;
  }
  known.clear();
  found.forEach(keep);
  return answer.version ?? null;
}

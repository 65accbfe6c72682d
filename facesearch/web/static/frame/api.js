// The server's calls. Each failure is an ApiError whose message is a sentence for the user.

import { errors } from "../texts.js";

const KEPT_ALIVE = 16_000; // characters, of up to 4 bytes: browsers keep 64 KiB alive
const gallery = encodeURIComponent(document.body.dataset.gallery); // the server may have another one by now
const WAIT_MS = 60_000; // for an answer; a first search loads networks

/** A call that failed. `kind` is the server's word for it, "lost" where the server cannot be reached, "ended" where
 * the session is over; `people` are the ids that it is about, `change` is that of the log that stands in the way;
 * `content` is all that the server said. */
export class ApiError extends Error {
  constructor(kind, status, message, content = {}) {
    super(message);
    this.name = "ApiError";
    this.kind = kind;
    this.status = status;
    this.people = content.people ?? [];
    this.change = content.change ?? null;
    this.content = content;
  }
}

/**
 * What stands at an address of the interface.
 * @param {string} path as "/api/people"
 * @param {Record<string, unknown>} [query] values that are null or undefined are left out
 * @param {{signal?: AbortSignal}} [options] an aborted call throws an AbortError
 */
export async function get(path, query = {}, { signal } = {}) {
  return call(addressOf(path, query), { signal: within(signal) });
}

/**
 * Does something. Writes of a user go through queue.js in place of this.
 * @param {string} path
 * @param {object} [body]
 * @param {{signal?: AbortSignal, wait?: number|null, id?: string}} [options] `wait`: milliseconds for an answer, null: as long as the
 *   connection stands; `id`: the same whenever it is sent again, so that it is done once
 */
export async function post(path, body = {}, { signal, wait, id } = {}) {
  const headers = { "content-type": "application/json", ...(id && { "facesearch-write": id }) };
  const text = JSON.stringify(body);
  const keepalive = text.length < KEPT_ALIVE; // a write goes on where the page is left
  return call(path, { method: "POST", headers, body: text, signal: within(signal, wait), keepalive });
}

/** Sends a photo as it is. */
export async function upload(path, query, photo, { signal } = {}) {
  const headers = { "content-type": photo.type.startsWith("image/") ? photo.type : "application/octet-stream" };
  return call(addressOf(path, query), { method: "POST", headers, body: photo, signal });
}

/** An address with what stands behind its question mark. */
export function addressOf(path, query = {}) {
  const said = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const words = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
  return words ? `${path}?${words}` : path;
}

/** The picture of a face, `side` pixels wide. */
export function faceImage(face, side = 112) {
  return `/api/faces/${face}/image${side === 112 ? "" : `?side=${side}`}`;
}

/** The picture of a photo, at most `side` pixels on its longer side. */
export function photoImage(photo, side = 2048) {
  return `/api/photos/${photo}/image?side=${side}`;
}

/** Whether a call was given up by the page itself. */
export function wasAborted(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

function within(signal, wait = WAIT_MS) {
  if (wait === null) return signal;
  const timeout = AbortSignal.timeout(wait);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

async function call(address, options) {
  const response = await reached(address, options);
  const content = await contentOf(response);
  if (response.ok) return content;
  throw refused(response.status, content);
}

async function reached(address, { headers, ...options }) {
  try {
    return await fetch(address, { credentials: "same-origin", headers: { ...headers, "facesearch-gallery": gallery }, ...options });
  } catch (error) {
    if (wasAborted(error)) throw error;
    throw new ApiError("lost", 0, errors.lost);
  }
}

async function contentOf(response) {
  try {
    return await response.json();
  } catch (error) {
    if (wasAborted(error)) throw error;
    if (response.ok) throw new ApiError("lost", 0, errors.lost);
    return {};
  }
}

function refused(status, content) {
  if (status === 401) return new ApiError("ended", status, errors.ended);
  if (content.error === "ending") return new ApiError("lost", status, errors.lost); // to be sent again when it is back
  return new ApiError(content.error ?? "error", status, content.message ?? errors.unknown(status), content);
}

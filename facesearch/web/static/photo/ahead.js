// The neighbours of a photo, fetched before anybody goes to them.

import { get, photoImage } from "../frame/api.js";
import { now } from "../frame/state.js";

const MOST = 4; // photos
const OLD = "old"; // in place of a version

const ahead = new Map(); // by photo and person

/** What a photo shows: as it was fetched ahead, where nothing was changed since, or asked for now. */
export function fetched(id, person) {
  const found = ahead.get(`${id} ${person}`);
  return found && found.version === now()?.version ? found.photo : get(`/api/photos/${id}`, { person });
}

/** Fetches what a photo shows, and its picture, which the browser keeps while it is held here. */
export function fetchAhead(id, person, side) {
  const key = `${id} ${person}`;
  const version = now()?.version;
  const found = ahead.get(key);
  if (found && found.version === version) return;
  ahead.delete(key);
  while (ahead.size >= MOST) ahead.delete(ahead.keys().next().value);
  const photo = get(`/api/photos/${id}`, { person });
  const entry = { photo, version, picture: found?.picture ?? new Image() };
  if (side) entry.picture.src = photoImage(id, side);
  photo.catch(() => ahead.get(key) === entry && ahead.delete(key));
  ahead.set(key, entry);
}

/** What was fetched so far is not how it is any more. */
export function makeOld() {
  for (const entry of ahead.values()) entry.version = OLD;
}

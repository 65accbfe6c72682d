// A place for one face that is searched or compared: out of a photo that the user gives, or one of the gallery.

import { get, upload } from "../frame/api.js";
import { h, isolated } from "../frame/dom.js";
import { facePicture } from "../frame/pictures.js";
import { boxLayer, inReadingOrder } from "../photo/boxes.js";
import { isNamed } from "../photo/panel.js";
import { searchTexts as texts } from "../texts.js";

const SIDE = 1024; // pixels of the picture that is shown, sharp on a screen with two dots to one
const HELD = 20;
const held = new Map(); // what the server said of photos that were sent since the page was loaded, by their ids

/** Holds a photo and which of its faces is meant. `chosen` is called when there is another face. */
export class PhotoSlot {
  #chosen;
  #photo = null; // what the server said of an upload
  #number = 0; // of the face that is chosen, 1 for the largest; 0 for none
  #face = null; // a face of the gallery
  #sending = null; // what gives up the photo that is on its way

  constructor(label, chosen) {
    this.element = h("section", { class: "photo-slot", "aria-label": label });
    this.#chosen = chosen;
  }

  /** What the server is asked for, as the words of an address; null while there is no face. */
  get query() {
    if (this.#face) return { face_id: this.#face.face_id };
    return this.#photo && this.#number ? { upload: this.#photo.upload, face: this.#number } : null;
  }

  /** Whether it holds anything, be it a photo without a face. */
  get isFilled() {
    return Boolean(this.#photo || this.#face);
  }

  /** The face of the gallery that it holds, or null. */
  get face() {
    return this.#face;
  }

  /** Gives a photo of the user's to this machine's server, which looks for faces. One that is still
   * on its way is given up. A photo without a face is held, too. Throws what `upload` throws. */
  async take(file) {
    this.#sending?.abort();
    this.#sending = new AbortController();
    const photo = await upload("/api/uploads", {}, file, { signal: this.#sending.signal }).catch(withoutFace);
    held.set(String(photo.upload), photo);
    if (held.size > HELD) held.delete(held.keys().next().value);
    this.#fill(photo);
  }

  /** Takes a face of the gallery, by its id. */
  async takeFace(id) {
    this.#face = await get(`/api/faces/${id}`);
    this.#photo = null;
    const { face_id: face, photo_id: photo, label } = this.#face;
    this.element.replaceChildren(
      h(
        "a",
        { class: "slot-face", href: `/photos/${photo}?face=${face}` },
        facePicture(face, { size: 176, alt: texts.askedFace }),
      ),
      h("p", {}, isNamed(this.#face) ? isolated(label) : label ? texts.group : texts.nobody),
    );
    this.#chosen();
  }

  /** Takes a photo that was sent before. Gives whether it is still known. */
  restore(id, number) {
    if (!held.has(id)) return false;
    this.#fill(held.get(id), number);
    return true;
  }

  /** Holds nothing from now on. */
  clear() {
    this.#photo = this.#face = null;
    this.#number = 0;
    this.element.replaceChildren();
  }

  #fill(photo, number = 1) {
    this.#face = null;
    this.#photo = photo;
    this.#number = photo.faces.length ? number : 0;
    this.#draw();
    this.#chosen();
  }

  #draw() {
    const { upload: id, width, height, faces } = this.#photo;
    const items = inReadingOrder(faces).map((face, i) => ({
      key: String(face.number), box: face.box, words: texts.faceOf(i + 1, faces.length), kind: "plain",
      isChosen: face.number === this.#number,
    }));
    const frame = h(
      "div",
      { class: "slot-frame" },
      h("img", { src: `/api/uploads/${id}/image?side=${SIDE}`, alt: texts.yourPhoto, width, height, class: "photo-picture" }),
      boxLayer(this.#photo, items, (item) => this.#choose(Number(item.key))),
    );
    frame.style.setProperty("--ratio", String(width / height));
    this.element.replaceChildren(frame, ...(faces.length ? [h("p", { class: "slot-words" }, texts.facesFound(faces.length))] : []));
  }

  #choose(number) {
    if (number === this.#number) return;
    this.#number = number;
    this.#draw();
    this.element.querySelector(`[data-key="${number}"]`)?.focus();
    this.#chosen();
  }
}

// A photo without a face is refused, and yet kept by the server, to be shown.
function withoutFace(error) {
  if (error.kind === "no_face_in_upload") return error.content;
  throw error;
}

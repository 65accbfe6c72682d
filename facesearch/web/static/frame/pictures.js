// Pictures of faces, each in its own square from the start, so that nothing moves when they come.

import { faceImage } from "./api.js";
import { h } from "./dom.js";

const AROUND = 0.3; // of a box, at each side, as in the pictures that the server makes
const AGAIN_MS = 1_000;
const PLACEHOLDER = "/static/face.svg";

/**
 * The picture of a face of the gallery. `size` is how wide it is shown, in CSS pixels; a placeholder stands for a
 * photo that is gone.
 * @param {number} face
 * @param {{size: number, side?: number, alt?: string, lazy?: boolean}} options
 */
export function facePicture(face, { size, side = sideFor(size), alt = "", lazy = false }) {
  const picture = h("img", {
    class: "face-picture", alt, width: size, height: size, decoding: "async", draggable: "false",
    loading: lazy ? "lazy" : null, on: { error: replaced },
  });
  picture.src = faceImage(face, side);
  return picture;
}

/** The side of the picture that is sharp on this screen at that size. */
export function sideFor(size) {
  const wanted = size * Math.min(window.devicePixelRatio, 2);
  return [112, 224].find((side) => wanted <= side * 1.15) ?? 448;
}

/**
 * A face cut out of a photo that is shown, so that nothing need be asked for. It is drawn when the photo has come.
 * @param {HTMLImageElement} picture of a photo of `size` ({width, height}), whose `box` is cut
 */
export function cutOut(picture, size, box, side) {
  const pixels = Math.round(side * Math.min(window.devicePixelRatio, 2));
  const canvas = h("canvas", { class: "face-picture", width: pixels, height: pixels, "aria-hidden": "true" });
  const draw = () => {
    const scale = picture.naturalWidth / size.width;
    const edge = Math.max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * AROUND) * scale;
    const [x, y] = [((box[0] + box[2]) / 2) * scale - edge / 2, ((box[1] + box[3]) / 2) * scale - edge / 2];
    canvas.getContext("2d").drawImage(picture, x, y, edge, edge, 0, 0, pixels, pixels);
  };
  picture.decode().then(draw, () => {}); // a photo that cannot be decoded leaves the placeholder
  return canvas;
}

// A busy server gives a picture up; it is asked for once more before the placeholder stands for it.
function replaced({ currentTarget: picture }) {
  if (picture.src.endsWith(PLACEHOLDER)) return;
  if (!picture.dataset.again) {
    picture.dataset.again = "1";
    setTimeout(() => (picture.src = picture.getAttribute("src")), AGAIN_MS);
    return;
  }
  picture.classList.add("gone");
  picture.src = PLACEHOLDER;
}

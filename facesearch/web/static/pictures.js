// Pictures of faces, each in its own square from the start, so that nothing moves when they come.

import { faceImage } from "./api.js";
import { h } from "./dom.js";

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

function replaced({ currentTarget: picture }) {
  if (picture.src.endsWith(PLACEHOLDER)) return;
  picture.classList.add("gone");
  picture.src = PLACEHOLDER;
}

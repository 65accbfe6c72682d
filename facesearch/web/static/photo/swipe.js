// A finger that moves across a photo goes to the next one, as in any album; one that moves up and down scrolls.

const LEAST = 60; // pixels across
const SLANT = 0.6; // how far down at most, as a share of that

/** Calls `go` with "next" or "previous" where a finger moves over an element, while `isFree()`. */
export function onSwipe(element, isFree, go) {
  let from = null;
  element.addEventListener("pointerdown", (event) => {
    from = event.isPrimary && event.pointerType === "touch" && isFree() ? [event.clientX, event.clientY] : null;
  });
  element.addEventListener("pointercancel", () => (from = null));
  element.addEventListener("pointerup", (event) => {
    if (!from) return;
    const [x, y] = [event.clientX - from[0], event.clientY - from[1]];
    from = null;
    if (Math.abs(x) >= LEAST && Math.abs(y) <= SLANT * Math.abs(x)) go(x < 0 ? "next" : "previous");
  });
}

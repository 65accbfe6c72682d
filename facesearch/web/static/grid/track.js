// A scroll of any length. Browsers end a page at about 16 to 33 million pixels; where a grid is longer, its space is cut
// to a length that they bear, and `shift` is how far what is seen lies beyond where the browser believes it to be.

const LONGEST = 15_000_000; // CSS pixels that all browsers scroll to the pixel
const IDLE_MS = 160;

/** The scrolling of an element over a space of any height. */
export class Track {
  /** @param {HTMLElement} view @param {HTMLElement} space @param {() => void} moved */
  constructor(view, space, moved) {
    this.view = view;
    this.space = space;
    this.total = 0;
    this.shift = 0;
    this.last = 0;
    view.addEventListener("scroll", () => (this.follow(), moved()), { passive: true });
  }

  /** How far the view is from the top, in pixels of the whole. */
  get top() {
    return this.view.scrollTop + this.shift;
  }

  /** Sets the height of the whole. */
  resize(total) {
    if (total === this.total) return;
    this.total = total;
    this.space.style.setProperty("height", `${this.height}px`);
    if (!this.isCut) this.shift = 0;
  }

  /** Goes to so many pixels from the top of the whole. */
  go(top) {
    const wanted = Math.max(0, Math.min(top, this.total - this.view.clientHeight));
    const at = this.isCut ? Math.round(wanted * this.ratio) : Math.round(wanted);
    this.shift = this.isCut ? Math.round(wanted) - at : 0;
    this.view.scrollTop = at;
    this.last = this.view.scrollTop;
  }

  get height() {
    return Math.min(this.total, LONGEST);
  }

  get isCut() {
    return this.total > LONGEST;
  }

  get ratio() {
    const seen = this.view.clientHeight;
    return (this.height - seen) / (this.total - seen);
  }

  /** Small steps move by as much as they say; a jump of the scroll bar goes to that part of the whole. */
  follow() {
    if (!this.isCut) return;
    const at = this.view.scrollTop;
    const seen = this.view.clientHeight;
    const isJump = Math.abs(at - this.last) > 2 * seen;
    if (isJump || at <= 0 || at >= this.height - seen - 1) this.shift = Math.round(at / this.ratio) - at;
    this.last = at;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.go(this.top), IDLE_MS); // the same place, with room on both sides
  }
}

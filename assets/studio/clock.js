// The time of drawing: the intervals between what the hand does in the studio, of a long one its first half minute alone,
// and nothing of the time in which the tab is hidden.

const PAUSE = 30; // seconds
const EVENTS = ["pointerdown", "pointermove", "pointerup", "wheel", "keydown"];

export class Clock {
  constructor(root) {
    this.start(0);
    this.touched = () => this.start(this.seconds);
    for (const name of EVENTS) root.addEventListener(name, this.touched, { capture: true, passive: true });
    document.addEventListener("visibilitychange", this.touched);
  }

  close() {
    document.removeEventListener("visibilitychange", this.touched);
  }

  // Goes on from so many seconds.
  start(seconds) {
    this.spent = seconds;
    this.last = document.hidden ? null : performance.now();
  }

  get seconds() {
    if (this.last === null) return this.spent;
    return this.spent + Math.min(PAUSE, (performance.now() - this.last) / 1000);
  }
}

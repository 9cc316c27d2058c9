// Undo and redo, stroke by stroke: patches { tool, box, before, after } of run lengths.

const DEEPEST = 1000; // strokes
const LARGEST = 20_000_000; // run lengths in all; at least 100 strokes stay whatever their size
const SURE = 100;

export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.done = [];
    this.undone = [];
    this.size = 0;
  }

  push(patch) {
    this.done.push(patch);
    this.undone = [];
    this.size = this.done.reduce((sum, one) => sum + one.before.length + one.after.length, 0);
    while (this.done.length > DEEPEST || (this.size > LARGEST && this.done.length > SURE)) {
      const oldest = this.done.shift();
      this.size -= oldest.before.length + oldest.after.length;
    }
  }

  undo() {
    const patch = this.done.pop();
    if (patch) this.undone.push(patch);
    return patch;
  }

  redo() {
    const patch = this.undone.pop();
    if (patch) this.done.push(patch);
    return patch;
  }
}

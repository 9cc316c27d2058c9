// What a pointer does with each tool. A tool gets `press`, `move`, `release` and `cancel` with points { x, y, pressure }
// in the picture's pixels, `key` with the name of a key (true when it took it), and draws its guides with `draw`.
//
// `studio` has the mask, the view, the settings, and `commit(name, box)`, which ends a stroke.

import { decode, encode, sides } from "./runs.js";
import { around } from "./mask.js";
import { ellipse, polygon, rectangle, seat, sweep } from "./shapes.js";
import { flood } from "./regions.js";

const CLOSE = 9; // pixels of the screen: a press so near to the first corner closes a polygon
const pixel = ({ x, y }) => ({ x: Math.floor(x), y: Math.floor(y) });

class Tool {
  constructor(studio) {
    this.studio = studio;
    this.hover = null;
  }

  press() {}
  move() {}
  release() {}
  cancel() {}
  leave() {}
  double() {}
  key() {
    return false;
  }
  draw() {}

  // Whether there is something that is neither in the mask yet nor given up.
  get begun() {
    return false;
  }

  // Whether what is begun can be accepted as it is.
  get ready() {
    return false;
  }

  // Whether the stroke adds to the mask; Shift or Alt turns what the switch says.
  adds(event) {
    return (this.studio.settings.mode === "add") !== (event.shiftKey || event.altKey);
  }

  within({ x, y }) {
    const { mask } = this.studio;
    return x >= 0 && y >= 0 && x < mask.width && y < mask.height;
  }

  // Lines that show on bright and dark pictures alike.
  stroke(context, colour = "#fff", dash = []) {
    const { ratio } = this.studio.view;
    context.setLineDash([]);
    context.lineWidth = 3 * ratio;
    context.strokeStyle = "rgb(0 0 0 / 60%)";
    context.stroke();
    context.lineWidth = 1.25 * ratio;
    context.strokeStyle = colour;
    context.setLineDash(dash.map((part) => part * ratio));
    context.stroke();
    context.setLineDash([]);
  }

  brushCursor(context, point, colour, square = false) {
    const { settings, view } = this.studio;
    const { x, y } = seat(point, settings.size);
    const [left, top] = view.onStage(x, y);
    const half = (settings.size / 2) * view.scale;
    context.beginPath();
    if (square) context.rect(left - half, top - half, 2 * half, 2 * half);
    else context.arc(left, top, half, 0, 2 * Math.PI);
    this.stroke(context, colour);
  }
}

export class Brush extends Tool {
  constructor(studio, erases) {
    super(studio);
    this.erases = erases;
    this.name = erases ? "eraser" : "brush";
    this.options = ["size", "square"];
  }

  at(point) {
    const { size } = this.studio.settings;
    const pressed = Math.max(1, size * (point.pressure ?? 1));
    return { ...seat(point, size), r: pressed / 2 };
  }

  press(point, event) {
    this.value = this.erases !== (event.shiftKey || event.altKey) ? 0 : 1;
    this.last = this.at(point);
    this.box = null;
    this.paint(this.last);
  }

  paint(next) {
    const { mask, view, settings } = this.studio;
    const box = sweep(mask, this.last, next, this.value, settings.square);
    this.box = around(this.box, box);
    this.last = next;
    view.touch(box);
  }

  move(point) {
    if (this.last) this.paint(this.at(point));
  }

  release() {
    if (!this.last) return;
    this.last = null;
    this.studio.commit(this.value ? "brush" : "eraser", this.box);
  }

  cancel() {
    if (!this.last) return;
    this.last = null;
    this.studio.mask.revert(this.box);
    this.studio.view.touch(this.box);
  }

  draw(context) {
    if (this.hover) this.brushCursor(context, this.hover, this.erases ? "#ffd0d0" : "#fff", this.studio.settings.square);
  }
}

export class Box extends Tool {
  constructor(studio, name) {
    super(studio);
    this.name = name;
    this.options = ["mode"];
    this.shape = { rectangle, ellipse }[name];
  }

  press(point, event) {
    this.start = this.end = pixel(point);
    this.value = this.adds(event) ? 1 : 0;
  }

  move(point, event) {
    if (!this.start) return;
    this.end = pixel(point);
    if (event.ctrlKey) {
      const side = Math.max(Math.abs(this.end.x - this.start.x), Math.abs(this.end.y - this.start.y));
      this.end = {
        x: this.start.x + side * Math.sign(this.end.x - this.start.x || 1),
        y: this.start.y + side * Math.sign(this.end.y - this.start.y || 1),
      };
    }
    this.studio.view.touch();
  }

  get box() {
    const { start, end } = this;
    return {
      top: Math.min(start.y, end.y),
      left: Math.min(start.x, end.x),
      bottom: Math.max(start.y, end.y) + 1,
      right: Math.max(start.x, end.x) + 1,
    };
  }

  release() {
    if (!this.start) return;
    const box = this.shape(this.studio.mask, this.box, this.value);
    this.start = null;
    this.studio.commit(`${this.name} ${this.value ? "add" : "subtract"}`, box);
  }

  cancel() {
    this.start = null;
    this.studio.view.touch();
  }

  outline(context, box, round) {
    const [left, top] = this.studio.view.onStage(box.left, box.top);
    const [right, bottom] = this.studio.view.onStage(box.right, box.bottom);
    context.beginPath();
    if (round) {
      context.ellipse((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2, 0, 0, 2 * Math.PI);
    } else context.rect(left, top, right - left, bottom - top);
  }

  draw(context) {
    if (!this.start) return;
    this.outline(context, this.box, this.name === "ellipse");
    this.stroke(context, this.value ? "#fff" : "#ffb3b3", this.value ? [] : [5, 4]);
  }
}

// Acts where the pointer went down, but only once it is up: a second finger, which zooms, takes it back.
class Click extends Tool {
  press(point, event) {
    this.pressed = { point, value: this.adds(event) ? 1 : 0 };
  }

  release() {
    if (!this.pressed) return;
    const { point, value } = this.pressed;
    this.pressed = null;
    this.click(point, value);
  }

  cancel() {
    this.pressed = null;
  }
}

export class Polygon extends Click {
  constructor(studio) {
    super(studio);
    this.name = "polygon";
    this.options = ["mode", "finish"];
    this.corners = [];
  }

  get begun() {
    return this.corners.length > 0;
  }

  get ready() {
    return this.corners.length >= 3;
  }

  click(point, value) {
    if (this.begun) this.closed = false;
    else this.value = value;
    const near = ([x, y]) => Math.hypot(x - point.x, y - point.y) * this.studio.view.scale < CLOSE * this.studio.view.ratio;
    if (this.corners.length >= 3 && near(this.corners[0])) return this.close();
    const last = this.corners.at(-1);
    const same = last && Math.hypot(last[0] - point.x, last[1] - point.y) * this.studio.view.scale < 2 * this.studio.view.ratio;
    if (!same) this.corners.push([point.x, point.y]);
    this.changed();
  }

  changed() {
    this.studio.view.touch();
    this.studio.panel.refresh();
  }

  move() {
    this.studio.view.touch();
  }

  double() {
    if (this.ready) this.close(); // its two clicks have set one corner
    else if (this.closed) this.key("Escape"); // the first click has closed it, and the second one has set a corner
  }

  close() {
    const { corners } = this;
    this.corners = [];
    this.closed = true;
    if (corners.length < 3) return this.changed();
    const box = polygon(this.studio.mask, corners, this.value);
    this.studio.commit(`polygon ${this.value ? "add" : "subtract"}`, box);
  }

  leave() {
    this.corners = [];
  }

  key(name) {
    this.release(); // a key while the pointer is down comes after its corner
    if (!this.corners.length) return false;
    if (name === "Enter") this.close();
    else if (name === "Backspace" || name === "undo") this.corners.pop();
    else if (name === "Escape") this.corners = [];
    else return false;
    this.changed();
    return true;
  }

  draw(context) {
    const { view } = this.studio;
    if (!this.corners.length) return;
    const places = this.corners.map(([x, y]) => view.onStage(x, y));
    context.beginPath();
    places.forEach((place) => context.lineTo(...place));
    if (this.hover) context.lineTo(...view.onStage(this.hover.x, this.hover.y));
    this.stroke(context, this.value ? "#fff" : "#ffb3b3", this.value ? [] : [5, 4]);
    for (const [index, [x, y]] of places.entries()) {
      context.beginPath();
      context.arc(x, y, (index ? 3 : 5) * view.ratio, 0, 2 * Math.PI);
      context.fillStyle = index ? "#fff" : this.studio.view.look.colour;
      this.stroke(context);
      context.fill();
    }
  }
}

export class Flood extends Click {
  constructor(studio) {
    super(studio);
    this.name = "flood";
    this.options = ["mode", "tolerance"];
  }

  click(point, value) {
    if (!this.within(point)) return;
    const { mask, settings, rgba } = this.studio;
    const { x, y } = pixel(point);
    const box = flood(mask, rgba, x, y, settings.tolerance, value);
    this.studio.commit(`flood ${value ? "add" : "subtract"}`, box);
  }
}

export class Superpixel extends Tool {
  constructor(studio) {
    super(studio);
    this.name = "superpixel";
    this.options = ["mode", "level"];
  }

  enter() {
    this.studio.needSuperpixels();
  }

  press(point, event) {
    const { superpixels } = this.studio;
    if (!superpixels) return;
    this.value = this.adds(event) ? 1 : 0;
    this.box = null;
    this.last = point;
    this.painted = new Set();
    this.paint(point);
  }

  paint(point) {
    if (!this.within(point)) return;
    const { superpixels, view } = this.studio;
    const label = superpixels.at(Math.floor(point.x), Math.floor(point.y));
    if (this.painted.has(label)) return;
    this.painted.add(label);
    const box = superpixels.paint(label, this.value);
    this.box = around(this.box, box);
    view.touch(box);
  }

  move(point) {
    this.studio.view.touch();
    if (!this.painted) return;
    const { x, y } = this.last;
    const steps = Math.ceil(Math.max(Math.abs(point.x - x), Math.abs(point.y - y), 1));
    for (let step = 1; step <= steps; step++) {
      this.paint({ x: x + ((point.x - x) * step) / steps, y: y + ((point.y - y) * step) / steps });
    }
    this.last = point;
  }

  release() {
    if (!this.painted) return;
    this.painted = null;
    if (this.box) this.studio.commit(`superpixel ${this.value ? "add" : "subtract"}`, this.box);
  }

  cancel() {
    if (!this.painted) return;
    this.painted = null;
    if (!this.box) return;
    this.studio.mask.revert(this.box);
    this.studio.view.touch(this.box);
  }

  draw(context) {
    const { superpixels, view } = this.studio;
    if (!superpixels || !this.hover || !this.within(this.hover)) return;
    const label = superpixels.at(Math.floor(this.hover.x), Math.floor(this.hover.y));
    context.beginPath();
    for (const [x0, y0, x1, y1] of superpixels.edges(label)) {
      context.moveTo(...view.onStage(x0, y0));
      context.lineTo(...view.onStage(x1, y1));
    }
    this.stroke(context);
  }
}

// A box first, then strokes on what is and what is not the object; the server answers with a preview to accept.
export class Smart extends Box {
  constructor(studio, name) {
    super(studio, "rectangle");
    this.name = name;
    this.reset();
  }

  reset() {
    this.area = null;
    this.options = [];
    this.lines = [];
    this.waiting = null;
    this.studio.view && (this.studio.view.preview = null);
  }

  leave() {
    this.drop();
  }

  get begun() {
    return !!this.area;
  }

  get ready() {
    return !!this.studio.view.preview;
  }

  press(point, event) {
    if (!this.area) return super.press(point, event);
    const { settings } = this.studio;
    const object = (settings.marks === "object") !== (event.shiftKey || event.altKey);
    this.line = { object, size: settings.size, points: [seat(point, settings.size)] };
    this.lines.push(this.line);
    this.studio.view.touch();
  }

  move(point, event) {
    if (!this.area) return super.move(point, event);
    if (this.line) this.line.points.push(seat(point, this.line.size));
    this.studio.view.touch();
  }

  release() {
    const { mask } = this.studio;
    if (!this.area) {
      if (!this.start) return;
      const box = mask.clipped(this.box);
      this.start = null;
      if (box.bottom - box.top < 2 || box.right - box.left < 2) return this.studio.view.touch();
      this.area = box;
      this.options = ["size", "marks", "finish"];
      this.studio.panel.refresh();
    } else {
      if (!this.line) return;
      this.line = null;
    }
    this.ask();
  }

  cancel() {
    super.cancel();
    if (this.line) this.lines.pop();
    this.line = null;
  }

  // Marks as run lengths within the box.
  marked(object) {
    const { mask } = this.studio;
    const width = this.area.right - this.area.left;
    const height = this.area.bottom - this.area.top;
    const values = new Uint8Array(width * height);
    const part = {
      width,
      height,
      clipped: (box) => mask.clipped.call({ width, height }, box),
      span: (y, from, to, value) => mask.span.call({ width, height, values }, y, from, to, value),
    };
    for (const line of this.lines) {
      const points = line.points.map(({ x, y }) => ({ x: x - this.area.left, y: y - this.area.top, r: line.size / 2 }));
      points.forEach((point, index) => sweep(part, points[Math.max(0, index - 1)], point, line.object === object ? 1 : 0, false));
    }
    return encode(values, width, { top: 0, left: 0, bottom: height, right: width });
  }

  ask() {
    const { mask } = this.studio;
    this.waiting = this.studio.ask({
      kind: this.name,
      box: sides(this.area),
      mask: encode(mask.values, mask.width, this.area),
      foreground: this.marked(true),
      background: this.marked(false),
    });
    this.studio.view.touch();
  }

  answer({ id, counts, problem }) {
    if (id !== this.waiting) return;
    this.waiting = null;
    if (problem) {
      if (!this.studio.view.preview) this.reset();
    } else {
      const { area } = this;
      const box = { top: 0, left: 0, bottom: area.bottom - area.top, right: area.right - area.left };
      const values = new Uint8Array(box.bottom * box.right);
      decode(counts, values, box.right, box);
      this.studio.view.preview = { box: area, values };
    }
    this.studio.view.touch(this.studio.mask.whole);
    this.studio.panel.refresh();
  }

  accept() {
    const { mask, view } = this.studio;
    const { box, values } = view.preview;
    const width = box.right - box.left;
    for (let y = box.top; y < box.bottom; y++) {
      const row = (y - box.top) * width;
      mask.values.set(values.subarray(row, row + width), y * mask.width + box.left);
    }
    this.reset();
    this.studio.commit(this.name, box);
    view.touch(mask.whole);
  }

  drop() {
    this.reset();
    this.studio.view.touch(this.studio.mask?.whole);
  }

  key(name) {
    if (!this.area) return false;
    if (name === "Enter" && this.studio.view.preview) this.accept();
    else if (name === "Escape") this.drop();
    else if ((name === "Backspace" || name === "undo") && this.lines.length) {
      this.lines.pop();
      this.ask();
    } else if (name !== "Enter" && name !== "undo") return false;
    this.studio.panel.refresh();
    return true;
  }

  draw(context) {
    const { view, settings } = this.studio;
    if (!this.area) {
      if (this.start) {
        this.outline(context, this.box, false);
        this.stroke(context, "#ffb000");
      }
      return;
    }
    this.outline(context, this.area, false);
    this.stroke(context, "#ffb000", [6, 4]);
    for (const { object, size, points } of this.lines) {
      context.beginPath();
      points.forEach(({ x, y }) => context.lineTo(...view.onStage(x, y)));
      context.lineTo(...view.onStage(points.at(-1).x + 1e-3, points.at(-1).y));
      context.lineWidth = size * view.scale;
      context.lineCap = context.lineJoin = "round";
      context.strokeStyle = object ? "rgb(40 200 90 / 55%)" : "rgb(230 50 50 / 55%)";
      context.stroke();
    }
    if (this.hover) this.brushCursor(context, this.hover, settings.marks === "object" ? "#8dffb0" : "#ffb3b3");
  }
}

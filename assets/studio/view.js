// What is seen: the picture, the mask over it, and what a tool draws on top, on three canvases as large as the stage.
//
// Places on the stage are in device pixels. Only what is visible is ever drawn, and of the mask only what has changed:
// its pixels are looked up at each pixel of the stage, so that a large picture costs no more than a small one.

const CLOSEST = 64; // device pixels per pixel of the picture
const SMALLEST = 256; // pixels a side of the smallest copy of the picture
const RIM = 10; // pixels of the screen around the whole picture
const LEAST = 1e-3;
const PREVIEW = 2;

export class View {
  constructor(stage, changed) {
    this.stage = stage;
    this.changed = changed;
    this.look = { opacity: 0.5, colour: "#ff2d9b", outline: false, hidden: false, brightness: 1, contrast: 1 };
    [this.picture, this.layer, this.top] = ["picture", "layer", "top"].map((name) => {
      const canvas = document.createElement("canvas");
      canvas.className = name;
      stage.append(canvas);
      return canvas.getContext("2d");
    });
    this.levels = [];
    this.scale = 1;
    this.left = this.upper = 0;
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(stage);
  }

  close() {
    this.sizes.disconnect();
    this.levels = [];
  }

  // A decoded picture; ever smaller copies of it make a small view fast and smooth.
  show(bitmap, mask) {
    this.mask = mask;
    this.levels = [bitmap];
    for (let last = bitmap; Math.min(last.width, last.height) >= 2 * SMALLEST; last = this.levels.at(-1)) {
      const half = document.createElement("canvas");
      half.width = Math.ceil(last.width / 2);
      half.height = Math.ceil(last.height / 2);
      half.getContext("2d").drawImage(last, 0, 0, half.width, half.height);
      this.levels.push(half);
    }
    this.fitted = true;
    this.resize();
  }

  resize() {
    this.ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.stage.clientWidth * this.ratio));
    const height = Math.max(1, Math.round(this.stage.clientHeight * this.ratio));
    for (const { canvas } of [this.picture, this.layer, this.top]) {
      canvas.width = width;
      canvas.height = height;
    }
    Object.assign(this, { width, height });
    if (this.levels.length) this.fitted ? this.fit() : this.moved();
  }

  get fitting() {
    const rim = 2 * RIM * this.ratio;
    return Math.max(1, Math.min((this.width - rim) / this.mask.width, (this.height - rim) / this.mask.height) / LEAST) * LEAST;
  }

  fit() {
    this.scale = this.fitting;
    this.left = Math.round((this.width - this.mask.width * this.scale) / 2);
    this.upper = Math.round((this.height - this.mask.height * this.scale) / 2);
    this.moved(true);
  }

  // Zooms by a factor; the place (x, y) of the stage stays where it is.
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(CLOSEST, Math.max(this.fitting / 2, this.scale * factor));
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.upper = y - ((y - this.upper) * scale) / this.scale;
    this.scale = scale;
    this.moved();
  }

  pan(dx, dy) {
    this.left += dx;
    this.upper += dy;
    this.moved();
  }

  moved(fitted = false) {
    this.fitted = fitted;
    const within = (start, length, room) => Math.round(Math.min(room / 2, Math.max(room / 2 - length, start)));
    this.left = within(this.left, this.mask.width * this.scale, this.width);
    this.upper = within(this.upper, this.mask.height * this.scale, this.height);
    Object.assign(this.stage.dataset, { scale: this.scale / this.ratio, left: this.left / this.ratio, upper: this.upper / this.ratio });
    this.stale = true;
    this.touch(this.mask.whole);
    this.changed();
  }

  place(event) {
    const box = this.stage.getBoundingClientRect();
    return { x: (event.clientX - box.left) * this.ratio, y: (event.clientY - box.top) * this.ratio };
  }

  // The place in the picture, in its pixels, not rounded.
  point(event) {
    const { x, y } = this.place(event);
    return { x: (x - this.left) / this.scale, y: (y - this.upper) / this.scale };
  }

  onStage(x, y) {
    return [this.left + x * this.scale, this.upper + y * this.scale];
  }

  // Says that a box of the mask, and what tools draw, have to be drawn anew with the next frame.
  touch(box = null) {
    if (box) {
      const dirty = this.dirty;
      this.dirty = !dirty
        ? { ...box }
        : {
            top: Math.min(dirty.top, box.top),
            left: Math.min(dirty.left, box.left),
            bottom: Math.max(dirty.bottom, box.bottom),
            right: Math.max(dirty.right, box.right),
          };
    }
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    if (!this.levels.length) return;
    if (this.stale) {
      this.drawPicture();
      this.layer.clearRect(0, 0, this.width, this.height); // the mask was elsewhere
    }
    if (this.dirty) this.drawMask(this.dirty);
    this.stale = false;
    this.dirty = null;
    this.top.clearRect(0, 0, this.width, this.height);
    this.drawTop?.(this.top);
  }

  drawPicture() {
    const context = this.picture;
    const level = Math.min(this.levels.length - 1, Math.max(0, Math.floor(Math.log2(1 / this.scale))));
    context.clearRect(0, 0, this.width, this.height);
    context.imageSmoothingEnabled = this.scale < 1;
    context.imageSmoothingQuality = "high";
    const [width, height] = [this.mask.width * this.scale, this.mask.height * this.scale];
    context.drawImage(this.levels[level], this.left, this.upper, width, height);
    const { brightness, contrast } = this.look;
    context.canvas.style.filter = brightness === 1 && contrast === 1 ? "" : `brightness(${brightness}) contrast(${contrast})`;
  }

  drawMask(box) {
    const rim = Math.max(1, Math.round(1.5 * this.ratio));
    const [x0, y0] = this.onStage(box.left, box.top);
    const [x1, y1] = this.onStage(box.right, box.bottom);
    const left = Math.max(0, Math.floor(x0) - rim - 1);
    const upper = Math.max(0, Math.floor(y0) - rim - 1);
    const width = Math.min(this.width, Math.ceil(x1) + rim + 1) - left;
    const height = Math.min(this.height, Math.ceil(y1) + rim + 1) - upper;
    if (width <= 0 || height <= 0) return;
    this.layer.clearRect(left, upper, width, height);
    if (this.look.hidden) return;
    const image = new ImageData(width, height);
    this.paint(new Uint32Array(image.data.buffer), this.sampled(left - rim, upper - rim, width + 2 * rim, height + 2 * rim), width, height, rim);
    this.layer.putImageData(image, left, upper);
  }

  // The mask at pixels of the stage: 0, 1, or 2 for a preview.
  sampled(left, upper, width, height) {
    const { mask, scale, preview } = this;
    const values = this.before ?? mask.values;
    const samples = new Uint8Array(width * height);
    const columns = Int32Array.from({ length: width }, (_, x) => Math.floor((left + x + 0.5 - this.left) / scale));
    const first = columns.findIndex((x) => x >= 0);
    const last = columns.findLastIndex((x) => x < mask.width);
    if (first < 0) return samples;
    for (let y = 0, above = -1; y < height; y++) {
      const row = Math.floor((upper + y + 0.5 - this.upper) / scale);
      if (row < 0 || row >= mask.height) continue;
      const start = row * mask.width;
      const to = y * width;
      if (row === above) {
        samples.copyWithin(to, to - width, to);
        continue;
      }
      above = row;
      for (let x = first; x <= last; x++) samples[to + x] = values[start + columns[x]];
      if (!preview || row < preview.box.top || row >= preview.box.bottom) continue;
      const inside = (row - preview.box.top) * (preview.box.right - preview.box.left) - preview.box.left;
      for (let x = first; x <= last; x++) {
        const column = columns[x];
        if (column < preview.box.left || column >= preview.box.right) continue;
        samples[to + x] = preview.values[inside + column] ? PREVIEW : 0;
      }
    }
    return samples;
  }

  paint(pixels, samples, width, height, rim) {
    const { colour, opacity, outline } = this.look;
    const alpha = (part) => Math.round(255 * part) << 24;
    const [own, other] = [colour, "#ffb000"].map((text) => {
      const [red, green, blue] = [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
      return (blue << 16) | (green << 8) | red;
    });
    const fills = Uint32Array.of(0, own | alpha(outline ? 0 : opacity), other | alpha(outline ? 0.25 : Math.max(0.35, opacity)));
    const edges = Uint32Array.of(0, own | alpha(1), other | alpha(1));
    const wide = width + 2 * rim;
    const down = rim * wide;
    for (let y = 0; y < height; y++) {
      const end = (y + 1) * width;
      for (let to = y * width, at = (y + rim) * wide + rim; to < end; to++, at++) {
        const value = samples[at];
        if (value === 0) continue;
        const inside =
          samples[at - rim] === value &&
          samples[at + rim] === value &&
          samples[at - down] === value &&
          samples[at + down] === value;
        pixels[to] = inside ? fills[value] : edges[value];
      }
    }
  }
}

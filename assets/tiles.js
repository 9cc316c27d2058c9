// Pictures and maps with a linked cross-hair and zoom: what the grid and the Inspect page are made of.
//
// Maps are grey PNGs of colour indices; colour table, opacity and the photo under the map are put together here, so that
// a change of the look costs no new map. This script stands before that of the component that uses it.

const images = new Map(); // src id -> {pixels: Uint8ClampedArray RGBA, width, height} or a promise of it

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

async function decode(src) {
  const blob = await (await fetch(src)).blob();
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

function image(id, src, ready) {
  const known = images.get(id);
  if (known && !(known instanceof Promise)) return known;
  if (!known) {
    if (images.size > 400) images.clear();
    images.set(id, decode(src).then((data) => (images.set(id, data), data)));
  }
  images.get(id).then(ready);
  return null;
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// One picture of the grid: a canvas that remembers what is on it.
class Tile {
  constructor(view, className) {
    this.view = view;
    this.element = make("div", `tile ${className}`);
    this.canvas = make("canvas");
    this.cross = make("div", "cross");
    this.value = make("div", "value");
    this.element.append(this.canvas, this.cross, this.value);
    this.map = this.frame = null;
    this.element.addEventListener("pointermove", (event) => view.point(this, event));
    this.element.addEventListener("pointerleave", () => view.leave());
    this.element.addEventListener("wheel", (event) => view.wheel(this, event), { passive: false });
    this.element.addEventListener("pointerdown", (event) => view.press(this, event));
    this.element.addEventListener("dblclick", () => view.reset());
    this.element.addEventListener("keydown", (event) => view.key(event));
    this.element.tabIndex = 0;
  }

  show(frame, map, label) {
    this.element.setAttribute("aria-label", label);
    this.element.setAttribute("role", "img");
    this.frame = frame;
    this.map = map;
    this.draw();
  }

  draw() {
    const { look } = this.view;
    if (!this.frame && !this.map) {
      if (this.mark) this.canvas.width = this.canvas.height; // empties it: what it showed belongs to another choice
      this.mark = "";
      return;
    }
    const again = () => this.draw();
    const under = this.frame && image(this.frame.id, this.frame.src, again);
    const over = this.map && image(this.map.id, this.map.src, again);
    if ((this.frame && !under) || (this.map && !over)) return;
    const mark = [this.frame?.id, this.map?.id, this.map?.table, look.opacity, look.grey, look.mark].join("|");
    if (this.mark === mark) return;
    this.mark = mark;
    const { width, height } = under || over;
    this.canvas.width = width;
    this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    const result = context.createImageData(width, height);
    const out = result.data;
    const table = this.map && look.colours[this.map.table];
    const alpha = this.map ? (under ? look.opacity : 1) : 0;
    for (let at = 0; at < out.length; at += 4) {
      let red = 0, green = 0, blue = 0;
      if (under) {
        red = under.data[at]; green = under.data[at + 1]; blue = under.data[at + 2];
        if (this.map && look.grey) red = green = blue = 0.299 * red + 0.587 * green + 0.114 * blue;
      }
      if (over) {
        const index = over.data[at] * 3;
        red += (table[index] - red) * alpha;
        green += (table[index + 1] - green) * alpha;
        blue += (table[index + 2] - blue) * alpha;
      }
      out[at] = red; out[at + 1] = green; out[at + 2] = blue; out[at + 3] = 255;
    }
    context.putImageData(result, 0, 0);
    this.view.redrawn(); // the pointer may rest on a map that has just changed
  }

  // The map's value under relative picture coordinates, as text.
  valueAt(x, y) {
    if (!this.map) return "";
    const data = images.get(this.map.id);
    if (!data || data instanceof Promise) return "";
    const column = Math.min(data.width - 1, Math.floor(x * data.width));
    const row = Math.min(data.height - 1, Math.floor(y * data.height));
    const index = data.data[4 * (row * data.width + column)];
    const { low, high, clipped } = this.map;
    const value = low + (index / 255) * (high - low);
    if (Math.abs(value) < (high - low) / 255) return "≈ 0"; // less than a colour is wide
    const sign = clipped && index === 255 ? "≥ " : clipped && index === 0 && low < 0 ? "≤ " : "";
    return sign + Number(value.toPrecision(2)).toString().replace("-", "−");
  }
}

// Tiles that show the same place: whatever points into one points into all of them.
class View {
  constructor() {
    this.zoom = { scale: 1, x: 0, y: 0 };
    this.tiles = new Set();
  }

  setLook(look) {
    this.look = {
      opacity: look.opacity,
      grey: look.grey,
      mark: look.tables.sequential.slice(100, 160) + look.tables.diverging.slice(100, 160),
      colours: Object.fromEntries(Object.entries(look.tables).map(([name, text]) => [name, bytes(text)])),
    };
  }

  relative(tile, event) {
    const box = tile.element.getBoundingClientRect();
    const { scale, x, y } = this.zoom;
    const inX = (event.clientX - box.left) / box.width, inY = (event.clientY - box.top) / box.height;
    return [(inX - x) / scale, (inY - y) / scale, inX, inY];
  }

  point(tile, event) {
    const [x, y, inX, inY] = this.relative(tile, event);
    if (this.drag) {
      this.zoom.x = this.drag.x + inX - this.drag.inX;
      this.zoom.y = this.drag.y + inY - this.drag.inY;
      this.place();
    }
    this.pointAt(x, y);
  }

  pointAt(x, y) {
    this.at = [x, y];
    const inside = (this.pointing = x >= 0 && x < 1 && y >= 0 && y < 1);
    const { scale } = this.zoom;
    for (const tile of this.tiles) {
      tile.element.classList.toggle("pointed", inside);
      if (!inside) continue;
      tile.cross.style.left = `${100 * (x * scale + this.zoom.x)}%`;
      tile.cross.style.top = `${100 * (y * scale + this.zoom.y)}%`;
      setText(tile.value, tile.valueAt(x, y));
    }
  }

  redrawn() {
    if (this.pointing) this.pointAt(...this.at);
  }

  leave() {
    this.pointing = false;
    for (const tile of this.tiles) tile.element.classList.remove("pointed");
  }

  wheel(tile, event) {
    if (!event.ctrlKey && this.zoom.scale === 1 && event.deltaY > 0) return; // the page scrolls
    if (!event.ctrlKey && !event.shiftKey && this.zoom.scale === 1) return;
    event.preventDefault();
    const [, , inX, inY] = this.relative(tile, event);
    this.scaleBy(Math.exp(-event.deltaY / 300), inX, inY);
    this.point(tile, event);
  }

  scaleBy(factor, inX, inY) {
    const before = this.zoom.scale;
    const scale = Math.min(16, Math.max(1, before * factor));
    this.zoom = {
      scale,
      x: inX - ((inX - this.zoom.x) * scale) / before,
      y: inY - ((inY - this.zoom.y) * scale) / before,
    };
    this.place();
  }

  press(tile, event) {
    if (event.button !== 0 || this.zoom.scale === 1) return;
    const [, , inX, inY] = this.relative(tile, event);
    this.drag = { inX, inY, x: this.zoom.x, y: this.zoom.y };
    tile.element.setPointerCapture(event.pointerId);
    tile.element.addEventListener("pointerup", () => (this.drag = null), { once: true });
  }

  reset() {
    this.zoom = this.zoom.scale === 1 ? { scale: 3, x: 0.5 - 3 * this.at[0], y: 0.5 - 3 * this.at[1] } : { scale: 1, x: 0, y: 0 };
    this.place();
  }

  key(event) {
    const step = event.shiftKey ? 0.1 : 0.02;
    const [x, y] = this.at || [0.5, 0.5];
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) {
      const within = (value) => Math.min(0.999, Math.max(0, value));
      this.pointAt(within(x + moves[event.key][0]), within(y + moves[event.key][1]));
    } else if (event.key === "+" || event.key === "=") this.scaleBy(1.25, 0.5, 0.5);
    else if (event.key === "-") this.scaleBy(0.8, 0.5, 0.5);
    else if (event.key === "0") { this.zoom = { scale: 1, x: 0, y: 0 }; this.place(); }
    else return;
    event.preventDefault();
  }

  place() {
    const { scale } = this.zoom;
    this.zoom.x = Math.min(0, Math.max(1 - scale, this.zoom.x));
    this.zoom.y = Math.min(0, Math.max(1 - scale, this.zoom.y));
    for (const { canvas, element } of this.tiles) {
      canvas.style.transform = `translate(${100 * this.zoom.x}%, ${100 * this.zoom.y}%) scale(${scale})`;
      canvas.style.imageRendering = scale > 3 ? "pixelated" : "auto";
      element.classList.toggle("zoomed", scale > 1);
    }
  }
}

// The classes that matter, as buttons: the explained one is marked, and a click asks to explain another.
class Classes {
  constructor(choose) {
    this.choose = choose;
    this.element = make("div", "classes");
  }

  update(row) {
    const mark = JSON.stringify([row.predictions, row.target]);
    if (mark === this.mark) return;
    this.mark = mark;
    this.element.replaceChildren(
      ...row.predictions.map((one) => {
        const button = make("button", one.target ? "class target" : "class");
        button.type = "button";
        button.title = one.target ? `${one.label} is explained` : `Explain ${one.label} instead`;
        button.setAttribute("aria-pressed", String(one.target));
        const percent = (value) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;
        const name = make("span", "label", one.label);
        const numbers = make("span", "percent", one.corrupted ? `${percent(one.clean)} → ${percent(one.seen)}` : percent(one.clean));
        const bars = make("span", "bars");
        const bar = (kind, value) => {
          const line = make("i", kind);
          line.style.width = `${Math.max(1, 100 * value)}%`;
          return line;
        };
        bars.append(bar("clean", one.clean));
        if (one.corrupted) bars.append(bar("seen", one.seen));
        button.append(name, numbers, bars);
        button.addEventListener("click", () => this.choose(one.index));
        return button;
      }),
    );
  }
}

// A map under its title, with a word on how far it is, its colour bar and what made it.
class Cell {
  constructor(view) {
    this.view = view;
    this.element = make("div", "cell");
    this.title = make("div", "title");
    this.tile = new Tile(view, "map");
    this.cover = make("div", "cover");
    this.ring = make("div", "ring");
    this.message = make("div", "message");
    this.cover.append(this.ring, this.message);
    this.tile.element.append(this.cover);
    this.bar = make("canvas", "bar");
    this.bar.width = 256;
    this.bar.height = 1;
    this.ends = make("div", "ends");
    this.ends.append(make("span"), make("span", "zero", "0"), make("span"));
    this.caption = make("div", "caption");
    this.element.append(this.title, this.tile.element, this.bar, this.ends, this.caption);
  }

  update(cell, row) {
    setText(this.title, cell.title);
    this.element.dataset.method = cell.name;
    this.element.dataset.state = cell.state;
    this.tile.show(cell.map && row.frame, cell.map, `${cell.title} of ${row.title}${row.target ? ` for ${row.target.label}` : ""}`);
    this.element.dataset.map = cell.state === "done" && cell.map ? cell.map.id : "";
    this.cover.className = `cover ${cell.state}${cell.map ? " over" : ""}`;
    setText(this.message, cell.state === "done" ? "" : cell.message || "");
    this.ring.style.setProperty("--done", cell.fraction || 0);
    this.showBar(cell.map);
    const words = [...(cell.notes || []), cell.caption || ""].filter(Boolean).join(" ");
    setText(this.caption, words);
    this.caption.title = words;
    this.caption.classList.toggle("warning", (cell.notes || []).length > 0);
  }

  showBar(map) {
    this.bar.classList.toggle("empty", !map);
    this.ends.classList.toggle("empty", !map);
    if (!map) return;
    const table = this.view.look.colours[map.table];
    const context = this.bar.getContext("2d");
    const line = context.createImageData(256, 1);
    for (let index = 0; index < 256; index++) {
      for (let channel = 0; channel < 3; channel++) line.data[4 * index + channel] = table[3 * index + channel];
      line.data[4 * index + 3] = 255;
    }
    context.putImageData(line, 0, 0);
    const [low, zero, high] = this.ends.children;
    setText(low, map.ends[0]);
    setText(high, map.ends[1]);
    zero.hidden = !map.zero;
  }
}

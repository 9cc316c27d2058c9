// The grid of models x saliency maps: draws what the page decided, links cross-hair and zoom over all maps.
//
// Data comes as bytes of JSON (see xai_core/render/grid.py). Maps are grey PNGs of colour indices; colour table, opacity
// and the photo under the map are put together here, so that a change of the look costs no new map.

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

class Grid {
  constructor(parent) {
    this.root = parent.querySelector(".grid") || parent.appendChild(make("div", "grid"));
    this.rows = new Map();
    this.zoom = { scale: 1, x: 0, y: 0 };
    this.tiles = new Set();
    this.all = false;
  }

  update({ data: packed, setTriggerValue }) {
    const data = JSON.parse(new TextDecoder().decode(packed));
    this.trigger = setTriggerValue;
    const { look } = data;
    this.look = {
      opacity: look.opacity,
      grey: look.grey,
      mark: look.tables.sequential.slice(100, 160) + look.tables.diverging.slice(100, 160),
      colours: Object.fromEntries(Object.entries(look.tables).map(([name, text]) => [name, bytes(text)])),
    };
    this.data = data;
    const wanted = new Set(data.rows.map((row) => row.model));
    for (const [model, row] of this.rows) {
      if (!wanted.has(model)) {
        row.element.remove();
        this.rows.delete(model);
      }
    }
    data.rows.forEach((row, place) => {
      if (!this.rows.has(row.model)) this.rows.set(row.model, new Row(this));
      const shown = this.rows.get(row.model);
      shown.update(row, data);
      if (this.root.children[place] !== shown.element) this.root.insertBefore(shown.element, this.root.children[place] || null);
    });
    this.tiles = new Set([...this.rows.values()].flatMap((row) => row.tiles));
    this.place();
  }

  toggle() {
    this.all = !this.all;
    for (const row of this.rows.values()) row.showScores();
  }

  // -- cross-hair and zoom, the same in every tile --------------------------------------------------------------

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

class Row {
  constructor(grid) {
    this.grid = grid;
    this.element = make("section", "row");
    this.head = make("header", "head");
    this.title = make("h3");
    this.classes = make("div", "classes");
    this.head.append(this.title, this.classes);
    this.failure = make("p", "failure");
    this.body = make("div", "body");
    this.element.append(this.head, this.failure, this.body);
    this.cells = new Map();
    this.picture = new Tile(grid, "picture");
    this.first = make("div", "first");
    this.thumbs = make("div", "thumbs");
    this.first.append(this.picture.element, this.thumbs);
    this.thumbTiles = [];
  }

  get tiles() {
    return [this.picture, ...this.thumbTiles, ...[...this.cells.values()].map((cell) => cell.tile)];
  }

  update(row, data) {
    setText(this.title, row.title);
    setText(this.failure, row.failure);
    this.failure.hidden = !row.failure;
    this.body.hidden = !!row.failure;
    this.showClasses(row);
    this.picture.show(row.frame, null, `The picture as ${row.title} sees it`);
    this.showThumbs(row);
    this.body.style.setProperty("--maps", row.cells.length);
    for (const [name, cell] of this.cells) {
      if (!row.cells.some((one) => one.name === name)) {
        cell.element.remove();
        this.cells.delete(name);
      }
    }
    if (this.body.firstChild !== this.first) this.body.prepend(this.first);
    row.cells.forEach((cell, place) => {
      if (!this.cells.has(cell.name)) this.cells.set(cell.name, new Cell(this.grid));
      const shown = this.cells.get(cell.name);
      shown.update(cell, row);
      const before = this.body.children[place + 1];
      if (before !== shown.element) this.body.insertBefore(shown.element, before || null);
    });
    this.scores = row.scores;
    this.names = data.baselines;
    this.showScores();
  }

  showClasses(row) {
    const mark = JSON.stringify([row.predictions, row.target]);
    if (mark === this.classesMark) return;
    this.classesMark = mark;
    this.classes.replaceChildren(
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
        button.addEventListener("click", () => this.grid.trigger("target", one.index));
        return button;
      }),
    );
  }

  showThumbs(row) {
    while (this.thumbTiles.length > row.baselines.length) this.thumbTiles.pop().element.parentElement.remove();
    row.baselines.forEach((one, place) => {
      if (!this.thumbTiles[place]) {
        const tile = new Tile(this.grid, "thumb");
        const figure = make("figure");
        figure.append(tile.element, make("figcaption", "", one.title));
        this.thumbs.append(figure);
        this.thumbTiles.push(tile);
      }
      this.thumbTiles[place].show(null, one.map, `Baseline map: ${one.title}`);
    });
  }

  showScores() {
    const lines = this.scores.filter((line) => this.grid.all || line.headline);
    const mark = JSON.stringify([lines, this.names, this.grid.all]);
    if (mark === this.scoresMark) return;
    this.scoresMark = mark;
    for (const old of [...this.body.querySelectorAll(".score")]) old.remove();
    for (const line of lines) {
      const label = make("div", "score name");
      label.title = line.help;
      label.append(make("span", "what", line.title), make("span", "arrow", ` ${line.arrow}`));
      const baselines = make("span", "baselines");
      line.baselines.forEach((one, place) => {
        const part = make("span", one.state, one.text || "…");
        part.title = `${this.names[place]}: ${one.title || one.text}`;
        baselines.append(part);
      });
      label.append(baselines);
      this.body.append(label);
      for (const one of line.values) {
        const value = make("div", `score number ${one.state}${one.best ? " best" : ""}`, one.text);
        if (one.text && one.text !== "–" && one.text !== "!" && line.unit) value.append(make("small", "", ` ${line.unit}`));
        value.title = one.title || line.help;
        value.dataset.score = line.id;
        this.body.append(value);
      }
    }
    if (this.scores.length > this.scores.filter((line) => line.headline).length) {
      const more = make("button", "score more", this.grid.all ? "Fewer scores" : "More scores");
      more.type = "button";
      more.addEventListener("click", () => this.grid.toggle());
      this.body.append(more);
    }
  }
}

class Cell {
  constructor(grid) {
    this.grid = grid;
    this.element = make("div", "cell");
    this.title = make("div", "title");
    this.tile = new Tile(grid, "map");
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
    const table = this.grid.look.colours[map.table];
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

const grids = new WeakMap();

export default function (component) {
  const { parentElement } = component;
  if (!grids.has(parentElement)) grids.set(parentElement, new Grid(parentElement));
  grids.get(parentElement).update(component);
}

// The annotation studio: a picture, the mask that is drawn over it, and the way of its strokes to the server.
//
// Data is JSON: { heard, saved, refused } (saving.js); `opened`, the draft that was asked for, once it is there:
// { nonce, draft, number, seconds, picture, mask, size, tools }, of which picture and mask are addresses; `answer` to what
// a tool has asked; `said`, { id, words, kind } to show, with the id of their message.

import { decode, sides } from "./runs.js";
import { Clock } from "./clock.js";
import { Mask } from "./mask.js";
import { History } from "./history.js";
import { clear, fillHoles, invert, spreadOut, Superpixels } from "./regions.js";
import { Box, Brush, Flood, Polygon, Smart, Superpixel } from "./tools.js";
import { View } from "./view.js";
import { Panel } from "./panel.js";
import { listen } from "./keys.js";
import { Outbox, renameTab, tabName } from "./saving.js";

const PREFERENCES = "saliency-studio.preferences";
const LOOK = { opacity: 0.5, colour: "#ff2d9b", outline: false, hidden: false, brightness: 1, contrast: 1 };
const CHANGES = {
  "fill holes": fillHoles,
  invert,
  clear,
  grow: (mask, reach) => spreadOut(mask, 1, reach),
  shrink: (mask, reach) => spreadOut(mask, 0, reach),
};

const address = (path) => new URL(`.${path}`, document.baseURI);

async function fetched(path) {
  const answer = await fetch(address(path));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

class Studio {
  constructor(root) {
    this.root = root;
    this.settings = { mode: "add", size: 24, square: false, tolerance: 24, level: "medium", marks: "object" };
    this.history = new History();
    this.panel = new Panel(root, this);
    this.stage = this.panel.stage;
    this.view = new View(this.stage, () => this.panel.refresh());
    this.view.drawTop = (context) => this.tool?.draw(context);
    Object.assign(this.view.look, LOOK, this.preferences());
    this.clock = new Clock(root);
    this.outbox = new Outbox(() => this.panel.showSaving(this.outbox));
    this.pointers = new Map();
    this.labels = new Map(); // granularity -> Superpixels
    this.asked = 0;
    listen(root, this);
    this.listen();
    this.leaving = (event) => (this.outbox.waiting || this.rescued) && event.preventDefault();
    window.addEventListener("beforeunload", this.leaving);
    this.online = () => this.outbox.sent && this.outbox.lost();
    window.addEventListener("online", this.online);
    this.open();
    this.panel.say(this.opening, "wait");
  }

  close() {
    window.removeEventListener("beforeunload", this.leaving);
    window.removeEventListener("online", this.online);
    this.clock.close();
    this.outbox.close();
    this.view.close();
  }

  preferences() {
    try {
      const { look, settings } = JSON.parse(localStorage.getItem(PREFERENCES)) ?? {};
      Object.assign(this.settings, settings);
      return look;
    } catch {
      return {};
    }
  }

  keepPreferences() {
    const { opacity, colour, outline } = this.view.look;
    const { size, square, tolerance, level } = this.settings;
    try {
      localStorage.setItem(PREFERENCES, JSON.stringify({ look: { opacity, colour, outline }, settings: { size, square, tolerance, level } }));
    } catch {
      // a private window
    }
  }

  // Opening: the server is asked for this tab's draft, after all strokes that wait are there.

  async open() {
    this.opening = "Opening the picture";
    this.nonce = [...crypto.getRandomValues(new Uint32Array(2))].join("-");
    const client = await tabName();
    await this.outbox.ready;
    this.outbox.request("open", { nonce: this.nonce, client });
  }

  receive(data, trigger) {
    this.outbox.receive(data, trigger);
    for (const [draft, why] of this.outbox.refused) {
      if (draft === this.draft) this.rescue(why);
      else {
        this.outbox.setAside(draft);
        this.panel.say(`Strokes of an earlier draft are not saved, and stay in this browser. ${why}`, "problem");
      }
    }
    if (data.opened?.nonce === this.nonce && this.loading !== this.nonce) {
      this.loading = this.nonce;
      this.load(data.opened).catch(() => this.unreadable());
    }
    if (data.answer) this.answered(data.answer);
    if (data.said && data.said.id !== this.lastSaid) {
      this.lastSaid = data.said.id;
      this.panel.say(data.said.words, data.said.kind);
      if (data.said.kind === "submitted") this.open();
      else if (this.opening && data.heard && this.loading !== this.nonce) this.opening = data.said.words;
    }
  }

  // The server cannot go on with this draft, as when it was submitted elsewhere: what was drawn goes into a new one.
  rescue(why) {
    if (this.rescued === this.draft) return;
    this.rescued = this.draft;
    this.panel.say(why, "problem");
    if (this.outbox.of(this.draft)[0].tool === "rescued") return; // not in a new one either: it stays in this browser
    delete this.outbox.requests.submit;
    renameTab();
    this.open();
  }

  // Whether nothing can be drawn now, which is said: while drafts change, a stroke would be one of neither.
  paused() {
    const why = this.outbox.requests.submit ? "Submitting the mask" : this.opening;
    if (why) this.panel.say(why, "wait");
    return !!why || !this.mask;
  }

  // What was to be fetched is gone, as after a restart of the server: asks again, a little later each time.
  unreadable() {
    this.failures = (this.failures ?? 0) + 1;
    this.panel.say("The picture does not arrive. Trying again", "wait");
    setTimeout(() => this.open(), Math.min(10_000, 500 * 2 ** this.failures));
  }

  async load(opened) {
    const [height, width] = opened.size;
    const first = !this.mask;
    const [runs] = await Promise.all([
      opened.mask ? fetched(opened.mask).then((answer) => answer.json()) : [],
      first && this.loadPicture(opened.picture),
    ]);
    if (opened.nonce !== this.nonce) return;
    const drawn = this.mask;
    const mask = new Mask(width, height);
    if (runs.length) mask.write(mask.whole, runs);
    this.opened = runs;
    this.mask = mask;
    this.draft = opened.draft;
    this.number = opened.number;
    this.clock.start(opened.seconds);
    this.opening = "";
    this.history.clear();
    this.failures = 0;
    if (first) {
      this.tools = {
        brush: new Brush(this, false),
        eraser: new Brush(this, true),
        polygon: new Polygon(this),
        rectangle: new Box(this, "rectangle"),
        ellipse: new Box(this, "ellipse"),
        flood: new Flood(this),
        superpixel: new Superpixel(this),
        grabcut: new Smart(this, "grabcut"),
        sam: new Smart(this, "sam"),
      };
      this.panel.showTools(Object.keys(this.tools).filter((name) => name !== "sam" || opened.tools.includes("sam")));
      this.view.show(this.bitmap, mask);
      this.choose("brush");
      if (document.activeElement === document.body) this.stage.focus({ preventScroll: true });
    } else {
      this.view.mask = mask;
      this.drawing = null;
      this.tool.cancel();
      this.labels.clear();
      this.superpixels = null;
      this.tool.enter?.();
      this.view.touch(mask.whole);
    }
    this.panel.notice.dataset.kind === "wait" && this.panel.say("");
    this.panel.refresh();
    this.panel.showSaving(this.outbox);
    this.root.dataset.draft = this.draft;
    if (this.rescued) {
      this.outbox.forget(this.rescued);
      this.rescued = null;
      mask.values.set(drawn.values);
      this.commit("rescued", mask.whole);
    }
  }

  async loadPicture(path) {
    const blob = await (await fetched(path)).blob();
    this.bitmap = await createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  }

  // The picture's pixels, red, green, blue and 255 each; made when first needed.
  get rgba() {
    if (!this.pixels) {
      const canvas = new OffscreenCanvas(this.mask.width, this.mask.height);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(this.bitmap, 0, 0);
      this.pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    }
    return this.pixels;
  }

  // Strokes.

  commit(tool, box) {
    const patch = box && this.mask.commit(box);
    if (box) this.view.touch(box);
    if (patch) {
      this.history.push({ tool, ...patch });
      this.send(tool, patch.box, patch.after);
    }
    this.panel.refresh();
  }

  send(tool, box, counts) {
    this.number += 1;
    this.outbox.add(this.draft, { number: this.number, tool, box: sides(box), counts, seconds: this.seconds });
  }

  // The time of drawing on this draft.
  get seconds() {
    return Math.round(10 * this.clock.seconds) / 10;
  }

  change(name, reach) {
    if (this.paused()) return;
    this.tool.cancel();
    const named = reach ? `${name} ${reach}` : name;
    this.commit(named, CHANGES[name](this.mask, reach));
  }

  undo() {
    if (this.paused() || this.tool.key("undo")) return;
    this.restore(this.history.undo(), "undo", "before");
  }

  redo() {
    if (this.paused()) return;
    this.restore(this.history.redo(), "redo", "after");
  }

  restore(patch, name, part) {
    if (!patch) return;
    this.mask.write(patch.box, patch[part]);
    this.view.touch(patch.box);
    this.send(name, patch.box, patch[part]);
    this.panel.refresh();
  }

  accept() {
    if (!this.paused()) this.tool.key("Enter");
  }

  submit() {
    if (this.paused() || this.drawing != null) return;
    if (this.tool.begun) return this.panel.say("Accept what you have begun (Enter) or drop it (Esc) before you submit.", "problem");
    if (!this.mask.count) return this.panel.say("The mask is empty: draw the object before you submit it.", "problem");
    this.outbox.request("submit", { draft: this.draft, number: this.number, seconds: this.seconds });
  }

  go(by) {
    this.outbox.request("go", by);
  }

  // What the server does for tools.

  ask(question) {
    const id = `${this.nonce} ${++this.asked}`;
    this.panel.say(question.kind === "superpixels" ? "Cutting the picture into patches" : "Looking for the object", "wait");
    this.outbox.request("ask", { ...question, id, draft: this.draft });
    return id;
  }

  answered(answer) {
    if (answer.id === this.lastAnswer) return;
    this.lastAnswer = answer.id;
    this.panel.say(answer.problem ?? "", "problem");
    if (answer.kind === "superpixels") return answer.problem || this.receiveSuperpixels(answer);
    this.tools?.[answer.kind]?.answer(answer);
  }

  needSuperpixels() {
    const { level } = this.settings;
    this.superpixels = this.labels.get(level) ?? null;
    if (!this.superpixels) this.ask({ kind: "superpixels", level });
    this.view.touch();
  }

  async receiveSuperpixels({ level, labels, size }) {
    try {
      const packed = (await fetched(labels)).body.pipeThrough(new DecompressionStream("deflate"));
      const values = new Uint16Array(await new Response(packed).arrayBuffer());
      this.labels.set(level, new Superpixels(values, ...size, this.mask));
    } catch {
      return this.panel.say("The patches did not arrive: choose the tool again.", "problem");
    }
    if (this.settings.level === level) this.superpixels = this.labels.get(level);
    this.root.dataset.level = level;
    this.view.touch();
  }

  // Settings.

  choose(name) {
    if (!this.tools?.[name] || !this.panel.tools.querySelector(`[data-tool=${name}]`)) return;
    const next = this.tools[name];
    if (this.tool && this.tool !== next) {
      this.tool.cancel();
      this.tool.leave();
    }
    this.tool = next;
    next.hover = null;
    next.enter?.();
    this.root.dataset.tool = name;
    this.view.touch();
    this.panel.refresh();
  }

  set(name, value) {
    this.settings[name] = value;
    if (name === "level" && this.tool?.name === "superpixel") this.needSuperpixels();
    this.keepPreferences();
    this.view.touch();
    this.panel.refresh();
  }

  resizeBrush(step) {
    const { size } = this.settings;
    const by = Math.abs(step) > 1 ? step : Math.sign(step) * Math.max(1, Math.round(size / 10));
    this.set("size", Math.min(400, Math.max(1, size + by)));
  }

  look(name, value) {
    if (!this.mask) return;
    this.view.look[name] = value;
    this.view.stale = true;
    this.view.touch(this.mask.whole);
    this.keepPreferences();
    this.panel.refresh();
  }

  resetLook() {
    for (const [name, value] of Object.entries(LOOK)) this.look(name, value);
  }

  // While held: the mask as it was opened instead of as it is.
  compare(held) {
    if (!this.mask || held === !!this.view.before) return;
    this.view.before = null;
    if (held) {
      this.view.before = new Uint8Array(this.mask.values.length);
      if (this.opened.length) decode(this.opened, this.view.before, this.mask.width, this.mask.whole);
    }
    this.view.touch(this.mask.whole);
    this.panel.refresh();
  }

  hand(held) {
    this.handHeld = held;
    this.stage.classList.toggle("hand", held);
  }

  escape() {
    if (!this.panel.help_.hidden) return this.panel.help(false);
    this.panel.closeMenus();
    if (this.drawing) {
      this.drawing = null;
      this.tool.cancel();
    } else this.tool.key("Escape");
    this.view.touch();
  }

  // Pointers: one draws, two zoom and pan.

  listen() {
    const { stage } = this;
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.release(event));
    stage.addEventListener("pointerleave", () => this.hover(null));
    stage.addEventListener("dblclick", () => (this.handHeld ? this.view.fit() : this.paused() || this.tool.double()));
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  point(event) {
    const pen = event.pointerType === "pen" && event.pressure > 0;
    return { ...this.view.point(event), pressure: pen ? event.pressure : 1 };
  }

  hover(event) {
    if (!this.mask) return;
    const point = event && this.point(event);
    this.tool.hover = event?.pointerType === "touch" ? null : point;
    this.panel.point(point);
    this.view.touch();
  }

  press(event) {
    if (!this.mask) return;
    this.panel.closeMenus();
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.view.place(event));
    if (this.pointers.size > 1) {
      if (this.drawing !== null) this.tool.cancel();
      this.drawing = null;
      return;
    }
    if (event.button === 1 || (event.button === 0 && this.handHeld)) {
      event.preventDefault();
      this.panning = event.pointerId;
      this.stage.classList.add("panning");
      return;
    }
    if (event.button !== 0) return;
    if (this.view.before || this.paused()) return;
    if (this.view.look.hidden) this.look("hidden", false);
    this.drawing = event.pointerId;
    this.timed("press", () => this.tool.press(this.point(event), event));
  }

  move(event) {
    if (!this.mask) return;
    const before = this.pointers.get(event.pointerId);
    const now = this.view.place(event);
    if (before) {
      this.pointers.set(event.pointerId, now);
      if (this.pointers.size === 2) return this.pinch(event.pointerId, before, now);
      if (this.panning === event.pointerId) return this.view.pan(now.x - before.x, now.y - before.y);
    }
    this.timed("move", () => {
      if (this.drawing === event.pointerId || !this.pointers.size) {
        const events = this.drawing === event.pointerId ? (event.getCoalescedEvents?.() ?? []) : [];
        for (const one of events.length ? events : [event]) this.tool.move(this.point(one), one);
      }
      this.hover(event);
    });
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    if (this.panning === event.pointerId) {
      this.panning = null;
      this.stage.classList.remove("panning");
    }
    if (this.drawing !== event.pointerId) return;
    this.drawing = null;
    if (event.type === "pointercancel") this.tool.cancel();
    else this.timed("release", () => this.tool.release(this.point(event), event));
  }

  pinch(moved, before, now) {
    const [other] = [...this.pointers].filter(([id]) => id !== moved).map(([, place]) => place);
    const apart = (place) => Math.max(1, Math.hypot(place.x - other.x, place.y - other.y));
    const middle = (place) => [(place.x + other.x) / 2, (place.y + other.y) / 2];
    const [x0, y0] = middle(before);
    const [x1, y1] = middle(now);
    this.view.zoom(apart(now) / apart(before), x0, y0);
    this.view.pan(x1 - x0, y1 - y0);
  }

  wheel(event) {
    if (!this.mask) return;
    event.preventDefault();
    const { x, y } = this.view.place(event);
    const lines = event.deltaMode === 1 ? 30 : 1;
    this.view.zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) * (event.ctrlKey ? 0.01 : 0.002)), x, y);
    this.hover(event);
  }

  // The longest that a pointer's handler took, and the last round trip, in milliseconds, for whoever wants to know.
  timed(name, action) {
    const start = performance.now();
    action();
    this.slowest ??= {};
    this.slowest[name] = Math.max(this.slowest[name] ?? 0, performance.now() - start);
    this.root.dataset[name] = this.slowest[name].toFixed(1);
    if (this.outbox.roundTrip) this.root.dataset.trip = Math.round(this.outbox.roundTrip);
  }
}

const studios = new WeakMap();

export function update({ parentElement, setTriggerValue }, data) {
  const root = parentElement.querySelector(".studio");
  if (!studios.has(root)) studios.set(root, new Studio(root));
  studios.get(root).receive(data, (message) => setTriggerValue("message", message));
}

// Streamlit also says goodbye when one update overtakes another: only a studio that has left the page is closed.
export function close(root) {
  setTimeout(() => {
    if (root.isConnected) return;
    studios.get(root)?.close();
    studios.delete(root);
  });
}

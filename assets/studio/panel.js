// Buttons, sliders and words around the stage.

import { KEYS } from "./keys.js";

const TOOLS = [
  ["brush", "brush", "Brush", "B"],
  ["eraser", "ink_eraser", "Eraser", "E"],
  ["polygon", "pentagon", "Polygon", "P"],
  ["rectangle", "rectangle", "Rectangle", "R"],
  ["ellipse", "circle", "Ellipse", "O"],
  ["flood", "format_color_fill", "Fill by colour", "F"],
  ["superpixel", "hive", "Superpixels", "S"],
  ["grabcut", "content_cut", "GrabCut: cuts out what is in a box", "G"],
  ["sam", "magic_button", "Segment Anything: finds what is in a box", "M"],
];
const HINTS = {
  polygon: "Click corners; Enter, a double click or the first corner closes",
  rectangle: "Drag; Ctrl for a square",
  ellipse: "Drag; Ctrl for a circle",
  flood: "Click a colour",
  superpixel: "Click or drag over patches",
};

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const icon = (name) => make("span", { class: "icon", "aria-hidden": "true" }, name);

export class Panel {
  constructor(root, studio) {
    this.studio = studio;
    this.toggles = []; // [button, whether it is pressed]
    this.options = {};
    this.stage = make("div", { class: "stage", tabindex: "0", role: "application", "aria-label": "Mask editor" });
    this.notice = make("div", { class: "notice", hidden: true });
    this.help_ = this.helpList();
    this.tools = make("div", { class: "tools", role: "toolbar", "aria-label": "Tools", "aria-orientation": "vertical" });
    this.bar = this.topBar();
    const frame = make("div", { class: "frame" }, this.stage, this.notice, this.help_);
    root.replaceChildren(this.bar, this.tools, frame, this.statusLine());
  }

  button(name, title, key, action, pressed = null, text = "") {
    const label = key ? `${title} (${key})` : title;
    const button = make("button", { type: "button", title: label, "aria-label": title, onclick: () => {
      action();
      this.stage.focus({ preventScroll: true });
    } }, icon(name), text);
    if (pressed) this.toggles.push([button, pressed]);
    return button;
  }

  showTools(names) {
    const { studio } = this;
    this.toggles = this.toggles.filter(([button]) => !this.tools.contains(button));
    this.tools.replaceChildren(
      ...TOOLS.filter(([name]) => names.includes(name)).map(([name, image, title, key]) => {
        const button = this.button(image, title, key, () => studio.choose(name), () => studio.tool?.name === name);
        button.dataset.tool = name;
        return button;
      }),
    );
    this.refresh();
  }

  slider(name, title, least, most, get, set, show = String) {
    const number = make("output", {}, "");
    const input = make("input", { type: "range", min: least, max: most, step: "any", "aria-label": title, title, oninput: () => {
      set(Number(input.value));
      this.refresh();
    }, onchange: () => this.stage.focus({ preventScroll: true }) });
    const field = make("label", { class: "field" }, make("span", {}, name), input, number);
    (this.sliders ??= []).push(() => {
      if (Number(input.value) !== get()) input.value = get();
      number.textContent = show(get());
    });
    return field;
  }

  choice(name, title, items, get, set) {
    const group = make("div", { class: "choice", role: "group", "aria-label": title });
    for (const [value, words, image, key] of items) {
      const button = image ? this.button(image, words, key, () => set(value), () => get() === value) : make("button", {
        type: "button", title: key ? `${words} (${key})` : words, onclick: () => {
          set(value);
          this.stage.focus({ preventScroll: true });
        } }, words);
      if (!image) this.toggles.push([button, () => get() === value]);
      button.dataset[name] = value;
      group.append(button);
    }
    return group;
  }

  topBar() {
    const { studio } = this;
    const { settings } = studio;
    const set = (name) => (value) => studio.set(name, value);
    const get = (name) => () => settings[name];
    const size = {
      // Sizes are felt by their ratio: the slider is their logarithm.
      get: () => Math.log2(settings.size),
      set: (value) => studio.set("size", Math.round(2 ** value)),
    };
    this.options = {
      mode: this.choice("mode", "Add or subtract", [["add", "Add", "add", "X"], ["subtract", "Subtract", "remove", "X"]], get("mode"), set("mode")),
      size: this.slider("Size", "Brush size", 0, Math.log2(400), size.get, size.set, (value) => `${Math.round(2 ** value)} px`),
      square: make("div", { class: "pair" },
        this.choice("square", "Brush shape", [[false, "Round brush", "circle"], [true, "Square brush", "square"]], get("square"), set("square"))),
      tolerance: this.slider("Tolerance", "Colour tolerance", 0, 128, get("tolerance"), (value) => studio.set("tolerance", Math.round(value))),
      level: this.choice("level", "Size of the patches", ["coarse", "medium", "fine"].map((one) => [one, one[0].toUpperCase() + one.slice(1)]), get("level"), set("level")),
      marks: make("div", { class: "pair" },
        this.choice("marks", "What the next stroke marks", [["object", "Object"], ["background", "Background"]], get("marks"), set("marks"))),
      finish: make("div", { class: "pair" },
        (this.accept = this.button("check", "Accept", "Enter", () => studio.accept(), null, "Accept")),
        (this.drop = this.button("close", "Drop", "Esc", () => studio.tool.key("Escape"), null, "Drop"))),
    };
    this.accept.classList.add("worded");
    this.drop.classList.add("worded");
    this.hint = make("span", { class: "hint" });
    const amount = make("input", { type: "number", min: 1, max: 200, value: 2, "aria-label": "Pixels to grow or shrink by", title: "Pixels to grow or shrink by" });
    const by = () => Math.min(200, Math.max(1, Math.round(Number(amount.value)) || 1));
    this.undo = this.button("undo", "Undo", "Ctrl+Z", () => studio.undo());
    this.redo = this.button("redo", "Redo", "Ctrl+Shift+Z", () => studio.redo());
    const menu = this.menu("auto_fix_high", "Change the whole mask",
      this.entry("Fill holes", () => studio.change("fill holes")),
      make("div", { class: "row" }, this.entry("Grow", () => studio.change("grow", by())), this.entry("Shrink", () => studio.change("shrink", by())), make("label", { class: "field" }, amount, "px")),
      this.entry("Invert", () => studio.change("invert")),
      this.entry("Clear", () => studio.change("clear")));
    const look = this.menu("tune", "View",
      this.slider("Opacity", "Opacity of the mask", 0, 1, () => studio.view.look.opacity, (value) => studio.look("opacity", value), percent),
      make("label", { class: "field" }, make("span", {}, "Colour"), (this.colour = make("input", { type: "color", "aria-label": "Colour of the mask", oninput: () => studio.look("colour", this.colour.value) }))),
      this.slider("Brightness", "Brightness of the picture, for viewing only", 0.25, 3, () => studio.view.look.brightness, (value) => studio.look("brightness", value), percent),
      this.slider("Contrast", "Contrast of the picture, for viewing only", 0.25, 3, () => studio.view.look.contrast, (value) => studio.look("contrast", value), percent),
      this.entry("Reset", () => studio.resetLook()));
    this.undo.dataset.action = "undo";
    this.redo.dataset.action = "redo";
    const compare = make("button", { type: "button", title: "Hold to see the mask as it was opened (C)", "aria-label": "Mask as it was opened" }, icon("compare"));
    compare.addEventListener("pointerdown", () => studio.compare(true));
    for (const name of ["pointerup", "pointerleave", "pointercancel"]) compare.addEventListener(name, () => studio.compare(false));
    this.toggles.push([compare, () => !!studio.view?.before]);
    this.submit = this.button("done_all", "Submit this mask", "Ctrl+Enter", () => studio.submit(), null, "Submit");
    this.submit.classList.add("submit", "worded");
    return make("div", { class: "bar" },
      make("div", { class: "options" }, ...Object.values(this.options), this.hint),
      make("div", { class: "actions" }, this.undo, this.redo, menu, make("i", {}),
        this.button("visibility_off", "Hide the mask", "H", () => studio.look("hidden", !studio.view.look.hidden), () => studio.view?.look.hidden),
        this.button("ink_selection", "Outline only", "L", () => studio.look("outline", !studio.view.look.outline), () => studio.view?.look.outline),
        compare, look,
        this.button("keyboard", "Keys", "?", () => this.help(), () => !this.help_.hidden), make("i", {}),
        this.button("chevron_left", "Previous picture", "←", () => studio.go(-1)),
        this.button("chevron_right", "Next picture", "→", () => studio.go(1)),
        this.submit));
  }

  menu(image, title, ...entries) {
    const summary = make("summary", { title, "aria-label": title }, icon(image));
    const menu = make("details", { class: "menu", name: "menu" }, summary, make("div", { class: "entries" }, ...entries));
    return menu;
  }

  closeMenus() {
    for (const menu of this.bar.querySelectorAll("details[open]")) menu.open = false;
  }

  entry(words, action) {
    return make("button", { type: "button", class: "entry", onclick: () => {
      action();
      this.stage.focus({ preventScroll: true });
    } }, words);
  }

  helpList() {
    const list = make("dl", {});
    for (const [key, words] of KEYS) list.append(make("dt", {}, make("kbd", {}, key)), make("dd", {}, words));
    return make("div", { class: "help", hidden: true, role: "dialog", "aria-label": "Keys", onclick: () => this.help(false) }, make("h4", {}, "Keys"), list);
  }

  help(show = this.help_.hidden) {
    this.help_.hidden = !show;
    this.refresh();
  }

  statusLine() {
    this.where = make("span", { class: "where" });
    this.size = make("span", { class: "size" });
    this.zoom = make("button", { type: "button", class: "zoom", title: "Show the whole picture (0)", onclick: () => {
      this.studio.view.fit();
      this.stage.focus({ preventScroll: true });
    } });
    this.area = make("span", { class: "area" });
    this.saved = make("span", { class: "saved", role: "status" });
    return make("div", { class: "status" }, this.where, this.size, this.zoom, this.area, this.saved);
  }

  say(words, kind = "") {
    this.notice.textContent = words;
    this.notice.hidden = !words;
    this.notice.dataset.kind = kind;
    clearTimeout(this.silence);
    if (words && kind !== "wait" && kind !== "stay") this.silence = setTimeout(() => this.say(""), 6000);
  }

  point(point) {
    const { mask } = this.studio;
    const inside = point && mask && point.x >= 0 && point.y >= 0 && point.x < mask.width && point.y < mask.height;
    this.where.textContent = inside ? `x ${Math.floor(point.x)}, y ${Math.floor(point.y)}` : "";
  }

  refresh() {
    const { studio } = this;
    for (const [button, pressed] of this.toggles) button.setAttribute("aria-pressed", String(!!pressed()));
    if (!studio.view) return;
    for (const show of this.sliders) show();
    this.colour.value = studio.view.look.colour;
    const tool = studio.tool;
    const shown = tool?.options ?? [];
    for (const [name, option] of Object.entries(this.options)) option.hidden = !shown.includes(name);
    this.accept.disabled = !tool?.ready;
    this.drop.disabled = !tool?.begun;
    this.undo.disabled = !studio.history.done.length;
    this.redo.disabled = !studio.history.undone.length;
    this.hint.textContent = tool?.area === null ? "Drag a box around the object" : tool?.area ? "Mark object and background to refine" : (HINTS[tool?.name] ?? "");
    const { mask } = studio;
    if (!mask) return;
    this.size.textContent = `${mask.width} × ${mask.height}`;
    this.zoom.textContent = `${Math.round((100 * studio.view.scale) / studio.view.ratio)} %`;
    const share = (100 * mask.count) / (mask.width * mask.height);
    this.area.textContent = `Mask ${share && share < 0.1 ? "< 0.1" : share.toFixed(1)} %`;
  }

  showSaving({ waiting, offline, refused }) {
    const strokes = `${waiting} stroke${waiting === 1 ? "" : "s"}`;
    const problem = [...refused.values()].at(-1);
    const state = problem ? "refused" : offline ? "offline" : waiting ? "saving" : "saved";
    const kept = `${strokes} ${waiting === 1 ? "is" : "are"} kept in this browser`;
    const opened = !!this.studio.mask;
    this.saved.dataset.state = opened || state !== "saved" ? state : "opening";
    this.saved.textContent = !opened && state === "saved" ? "" : {
      refused: `Not saved: ${problem}`,
      offline: waiting ? `Offline: ${kept}` : "Offline: strokes will be kept in this browser",
      saving: `Saving ${strokes}`,
      saved: "Saved",
    }[state];
  }
}

const percent = (value) => `${Math.round(100 * value)} %`;

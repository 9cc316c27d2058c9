// Keys of the studio. They work while it has the focus, and never while somebody types or moves a slider.

export const KEYS = [
  ["B", "Brush"],
  ["E", "Eraser"],
  ["P", "Polygon: Enter closes, Backspace takes a corner back, Esc gives up"],
  ["R", "Rectangle"],
  ["O", "Ellipse"],
  ["F", "Fill by colour"],
  ["S", "Superpixels"],
  ["G", "GrabCut: Enter accepts, Esc drops"],
  ["X", "Add or subtract; Shift or Alt while drawing does the other"],
  ["[ ]", "Smaller or larger brush; with Shift by 10"],
  ["Ctrl+Z", "Undo"],
  ["Ctrl+Shift+Z, Ctrl+Y", "Redo"],
  ["Space", "Hold to move the picture; so does the middle button"],
  ["+ −", "Zoom; so do the wheel and two fingers"],
  ["0", "The whole picture"],
  ["H", "Hide the mask: a tap switches, holding hides while held"],
  ["C", "Hold to see the mask as it was opened"],
  ["L", "Outline or filled"],
  ["Ctrl+Enter", "Submit"],
  ["← →", "Previous and next picture"],
  ["?", "This list"],
];

const TAP = 300; // milliseconds: a longer press is a hold

const typing = (element) =>
  element.isContentEditable || ["TEXTAREA", "SELECT"].includes(element.tagName) || element.tagName === "INPUT";

export function listen(root, studio) {
  const tools = { b: "brush", e: "eraser", p: "polygon", r: "rectangle", o: "ellipse", f: "flood", s: "superpixel", g: "grabcut", m: "sam" };
  let hidden = 0; // when H went down

  const plain = {
    "+": () => studio.view.zoom(1.25),
    "=": () => studio.view.zoom(1.25),
    "-": () => studio.view.zoom(0.8),
    0: () => studio.view.fit(),
    x: () => studio.set("mode", studio.settings.mode === "add" ? "subtract" : "add"),
    l: () => studio.look("outline", !studio.view.look.outline),
    "?": () => studio.panel.help(),
    ArrowLeft: () => studio.go(-1),
    ArrowRight: () => studio.go(1),
    "[": () => studio.resizeBrush(-1),
    "]": () => studio.resizeBrush(1),
    "{": () => studio.resizeBrush(-10),
    "}": () => studio.resizeBrush(10),
    c: () => studio.compare(true),
    h: () => {
      hidden = performance.now();
      studio.look("hidden", !studio.view.look.hidden);
    },
    " ": () => studio.hand(true),
    Enter: () => studio.accept(),
    Backspace: () => studio.tool.key("Backspace"),
    Escape: () => studio.escape(),
  };
  const control = {
    z: (event) => (event.shiftKey ? studio.redo() : studio.undo()),
    y: () => studio.redo(),
    Enter: () => studio.submit(),
  };
  const held = new Set(["c", "h", " "]);

  root.addEventListener("keydown", (event) => {
    const target = event.composedPath()[0];
    if (typing(target) || !studio.mask) return;
    const button = target.tagName === "BUTTON" || target.tagName === "SUMMARY";
    if (button && ["Enter", " "].includes(event.key) && !event.ctrlKey) return; // which press the button
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    let action = null;
    if (event.ctrlKey || event.metaKey) action = control[name];
    else if (!event.altKey) action = plain[name] ?? (tools[name] && !event.shiftKey ? () => studio.choose(tools[name]) : null);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    if (!(event.repeat && (held.has(name) || name.startsWith("Arrow") || name === "Enter"))) action(event);
  });
  root.addEventListener("keyup", (event) => {
    if (!studio.mask) return;
    if (event.key === " ") studio.hand(false);
    if (event.key.toLowerCase() === "c") studio.compare(false);
    if (event.key.toLowerCase() === "h" && hidden) {
      if (performance.now() - hidden > TAP) studio.look("hidden", !studio.view.look.hidden);
      hidden = 0;
    }
  });
  root.addEventListener("focusout", (event) => {
    if (root.contains(event.relatedTarget)) return;
    studio.hand(false);
    studio.compare(false);
  });
}

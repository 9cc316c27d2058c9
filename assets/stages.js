// A map at every stage of a network, from early to late: a group of radio buttons with pictures.

function make(tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  return element;
}

function tile() {
  const button = make("button", "stage");
  button.type = "button";
  button.setAttribute("role", "radio");
  const view = make("div", "view");
  view.append(make("img", ""), make("div", "message"));
  button.append(view, make("div", "name"), make("div", "size"), make("div", "caption"));
  button.querySelector("img").draggable = false;
  return button;
}

function fill(button, item) {
  const text = (name, value) => {
    const element = button.querySelector(`.${name}`);
    if (element.textContent !== value) element.textContent = value;
  };
  button.dataset.id = item.id;
  button.dataset.state = item.state;
  button.title = item.id;
  const picture = button.querySelector("img");
  picture.hidden = !item.src;
  if (item.src && picture.getAttribute("src") !== item.src) picture.src = item.src;
  picture.alt = `Map at ${item.id}`;
  text("message", item.src ? "" : item.message);
  text("name", item.id);
  text("size", item.size);
  text("caption", item.caption);
}

export default function ({ parentElement, data: packed, setStateValue }) {
  const data = JSON.parse(new TextDecoder().decode(packed));
  const root = parentElement.querySelector(".stages");
  root.setAttribute("aria-label", data.label);
  root.style.setProperty("--count", data.items.length);
  while (root.children.length > data.items.length) root.lastChild.remove();
  while (root.children.length < data.items.length) root.append(tile());
  data.items.forEach((item, place) => fill(root.children[place], item));
  const choose = (id) => {
    for (const button of root.children) {
      const chosen = button.dataset.id === id;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  };
  choose(data.selected);
  const select = (button) => {
    choose(button.dataset.id);
    setStateValue("selected", button.dataset.id);
  };
  root.onclick = (event) => {
    const button = event.target.closest("button");
    if (button) select(button);
  };
  root.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...root.children];
    const at = buttons.findIndex((button) => button.getAttribute("aria-checked") === "true");
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    select(next);
  };
}

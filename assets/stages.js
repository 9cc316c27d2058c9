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
  radioGroup(root, data.selected, (id) => setStateValue("selected", id));
}

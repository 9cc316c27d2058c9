// Thumbnails to choose a picture from: a group of radio buttons with pictures.

export default function ({ parentElement, data: packed, setStateValue }) {
  const data = JSON.parse(new TextDecoder().decode(packed));
  const root = parentElement.querySelector(".gallery");
  const mark = JSON.stringify([data.label, data.items.map((item) => item.id)]);
  root.setAttribute("aria-label", data.label);
  if (root.dataset.mark !== mark) {
    root.dataset.mark = mark;
    root.replaceChildren(
      ...data.items.map((item) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.id = item.id;
        button.title = item.title;
        button.setAttribute("role", "radio");
        const picture = document.createElement("img");
        picture.src = item.src;
        picture.alt = item.title;
        picture.draggable = false;
        button.append(picture);
        return button;
      }),
    );
  }
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

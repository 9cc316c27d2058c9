// Thumbnails of which any number is ticked: buttons that are check boxes.

export default function ({ parentElement, data: packed, setStateValue }) {
  const data = JSON.parse(new TextDecoder().decode(packed));
  const root = parentElement.querySelector(".picker");
  const mark = JSON.stringify([data.label, data.items.map((item) => item.id)]);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", data.label);
  if (root.dataset.mark !== mark) {
    root.dataset.mark = mark;
    root.replaceChildren(
      ...data.items.map((item) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.id = item.id;
        button.title = item.title;
        button.setAttribute("role", "checkbox");
        const picture = document.createElement("img");
        picture.src = item.src;
        picture.alt = item.title;
        picture.draggable = false;
        button.append(picture);
        return button;
      }),
    );
  }
  const ticked = new Set(data.selected);
  for (const button of root.children) button.setAttribute("aria-checked", String(ticked.has(button.dataset.id)));
  root.onclick = (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    button.setAttribute("aria-checked", String(button.getAttribute("aria-checked") !== "true"));
    const chosen = [...root.children].filter((one) => one.getAttribute("aria-checked") === "true");
    setStateValue("selected", chosen.map((one) => one.dataset.id));
  };
}

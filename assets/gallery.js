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
  radioGroup(root, data.selected, (id) => setStateValue("selected", id));
}

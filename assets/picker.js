// Thumbnails of which any number is ticked: buttons that are check boxes.

export default function ({ parentElement, data: packed, setStateValue }) {
  const data = JSON.parse(new TextDecoder().decode(packed));
  const root = parentElement.querySelector(".picker");
  root.setAttribute("role", "group");
  thumbnails(root, data, "checkbox");
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

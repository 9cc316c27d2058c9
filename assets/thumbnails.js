// Pictures as buttons of a role, "radio" or "checkbox"; put in front of the scripts that use it.

function thumbnails(root, { label, items }, role) {
  const mark = JSON.stringify([label, items.map((item) => item.id)]);
  root.setAttribute("aria-label", label);
  if (root.dataset.mark === mark) return;
  root.dataset.mark = mark;
  root.replaceChildren(
    ...items.map((item) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.id = item.id;
      button.title = item.title;
      button.setAttribute("role", role);
      const picture = document.createElement("img");
      picture.src = item.src;
      picture.alt = item.title;
      picture.draggable = false;
      button.append(picture);
      return button;
    }),
  );
}

// Thumbnails to choose a picture from: a group of radio buttons with pictures.

export default function ({ parentElement, data: packed, setStateValue }) {
  const data = JSON.parse(new TextDecoder().decode(packed));
  const root = parentElement.querySelector(".gallery");
  thumbnails(root, data, "radio");
  radioGroup(root, data.selected, (id) => setStateValue("selected", id));
}

// Loads the studio's modules, which data names by an address that changes with them, and hands everything on to them.

export default function (component) {
  const data = JSON.parse(new TextDecoder().decode(component.data));
  const modules = import(new URL(`.${data.script}`, document.baseURI));
  modules
    .then((studio) => studio.update(component, data))
    .catch((error) => {
      console.error(error);
      component.parentElement.querySelector(".studio").textContent = "The editor did not load: reload the page.";
    });
  const root = component.parentElement.querySelector(".studio");
  return () => void modules.then((studio) => studio.close(root)).catch(() => {});
}

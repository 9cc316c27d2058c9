// Buttons of which one is chosen, by a click or the arrow keys; put in front of the scripts that use it.

function radioGroup(root, selected, tell) {
  const choose = (id) => {
    for (const button of root.children) {
      const chosen = button.dataset.id === id;
      button.setAttribute("aria-checked", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
    }
  };
  choose(selected);
  const select = (button) => {
    choose(button.dataset.id);
    tell(button.dataset.id);
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


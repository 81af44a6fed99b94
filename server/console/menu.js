// Menus beside what was pressed: the browser opens and closes them, arrow keys move in them.

const GAP_PX = 4;

/** The menu's buttons, shown above the button that opens it. onchoose: gets the value of the one that was pressed. */
export class Menu {
  constructor(menu, opener, onchoose) {
    menu.addEventListener("beforetoggle", ({ newState }) => {
      if (newState !== "open") return;
      const { left, top } = opener.getBoundingClientRect();
      menu.style.left = `${Math.max(0, Math.min(left, innerWidth - 220))}px`;
      menu.style.bottom = `${innerHeight - top + GAP_PX}px`;
    });
    menu.addEventListener("keydown", (event) => arrows(event, [...menu.querySelectorAll("button")]));
    menu.addEventListener("click", ({ target: { value } }) => {
      if (!value) return;
      menu.hidePopover();
      onchoose(value);
    });
  }
}

/** Arrow keys move among choices. */
export function arrows(event, choices) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  choices[(choices.indexOf(document.activeElement) + by + choices.length) % choices.length].focus();
}

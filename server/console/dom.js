// Elements by id, and new ones. Text is only ever text: nothing here takes markup.

export const $ = (id) => document.getElementById(id);

/** A new element. Properties: `class`, `data` (an object), `on…` listeners, attributes (false or null: none). */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Show exactly one of these elements. */
export function showOnly(shown, all) {
  for (const each of all) each.hidden = each !== shown;
}

/** The focus goes to an element, where what had it is gone; who has gone elsewhere meanwhile stays there. */
export function refocus(element) {
  const { activeElement: had, body } = document;
  if (!had || had === body || had.id === "main" || had.disabled || had.closest("[hidden]")) element.focus();
}

/** An element has exactly these children. What is there already is not moved: that would take its focus, and what is
 *  selected in it. */
export function arrange(parent, children) {
  for (const each of [...parent.childNodes]) if (!children.includes(each)) each.remove();
  children.forEach((each, at) => parent.childNodes[at] === each || parent.insertBefore(each, parent.childNodes[at] ?? null));
}

/** No element below this one has the class any more. */
export function unmark(root, name) {
  for (const marked of root.querySelectorAll(`.${name}`)) marked.classList.remove(name);
}

/** The options of a <select>, keeping the choice where it is still there. */
export function fill(select, options, chosen = select.value) {
  select.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

// Asking a person: a dialog with a question, and what was said for a moment at the page's edge.

import { $, h } from "./dom.js";
import { t } from "./texts.js";

const SHOWN_MS = 6000;

/** Whether they say yes. The focus is on no, so that a key which is held, or pressed once more, does nothing. */
export function ask({ title, text, yes, no = t("ask.no"), grave = false }) {
  const dialog = $("ask");
  if (dialog.open) dialog.close(""); // whoever asked before is answered no
  return new Promise((resolve) => {
    const answer = (said) => () => dialog.close(said);
    const refuse = h("button", { type: "button", onclick: answer("no") }, no);
    dialog.replaceChildren(
      h("h2", { id: "ask-title" }, title),
      h("p", {}, text),
      h("div", { class: "actions" },
        h("button", { type: "button", class: grave ? "grave" : "primary", onclick: answer("yes") }, yes),
        refuse),
    );
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.returnValue = "";
    dialog.showModal();
    refuse.focus();
  });
}

/** Somebody does something else: what went wrong before is out of date. */
export function forgetProblems() {
  for (const said of document.querySelectorAll("#notices .problem")) said.remove();
}

/** Say something. What went wrong stays until somebody closes it; the same thing is not said twice. */
export function notify(text, kind = "said") {
  const there = [...$("notices").children].find((each) => each.dataset.text === text);
  if (there) return there; // a screen reader has said it
  const close = h("button", { type: "button", "aria-label": t("notice.close"), onclick: () => notice.remove() }, "×");
  const notice = h("p", { class: `notice ${kind}`, data: { text } }, h("span", {}, text), close);
  $("notices").append(notice);
  if (kind === "said") setTimeout(() => notice.remove(), SHOWN_MS);
  return notice;
}

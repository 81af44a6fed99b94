// A note under a provider's hands: a field for each section, a line for each sentence. What is pasted is text.

import { Problem } from "./api.js";
import { h } from "./dom.js";
import { editable, edited, keyOf } from "./note_text.js";
import { explain, t } from "./texts.js";

export class Editor {
  #form;
  #fields = []; // {title, text, section}
  #before = ""; // what it said when it was opened
  #saving = false;

  /** onsave: gets the note, raises what went wrong; onleave: called when it is left without saving; ask: see `ask.js`. */
  constructor(form, { onsave, onleave, ask }) {
    this.#form = form;
    Object.assign(this, { onsave, onleave, ask });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) this.#submit();
    });
  }

  get isOpen() {
    return this.#fields.length > 0;
  }

  get changed() {
    return this.isOpen && this.#said() !== this.#before;
  }

  open(version) {
    const title = h("input", { name: "title", value: version.title, "aria-label": t("edit.title"), maxlength: 300 });
    this.#fields = [{ title }, ...version.sections.map((section) => this.#field(section))];
    const add = h("button", { type: "button", onclick: () => this.#add(add) }, t("edit.add"));
    this.#form.replaceChildren(
      h("p", { class: "quiet" }, t("edit.how")),
      h("label", {}, t("edit.title"), title),
      ...this.#fields.slice(1).map(({ element }) => element),
      h("div", { class: "actions" }, add),
      h("p", { class: "problem", role: "alert", hidden: true }),
      h("div", { class: "actions" },
        h("button", { type: "submit", class: "primary" }, t("edit.save")),
        h("button", { type: "button", onclick: () => this.#leave() }, t("edit.cancel"))),
    );
    this.#before = this.#said();
  }

  /** Begin to type: once it is shown. */
  focus() {
    (this.#fields[1]?.text ?? this.#fields[0].title).focus();
  }

  close() {
    this.#fields = [];
    this.#saving = false;
    this.#form.replaceChildren();
  }

  #field(section, title = null) {
    const text = h("textarea", { rows: rows(section), spellcheck: true }, editable(section));
    text.addEventListener("input", () => (text.rows = Math.max(2, text.value.split("\n").length + 1)));
    return { section, title, text, element: h("label", { class: "section" }, title ?? h("span", { class: "heading" }, section.title), text) };
  }

  #add(before) {
    const title = h("input", { "aria-label": t("edit.section"), placeholder: t("edit.section"), maxlength: 100 });
    const field = this.#field({ key: "", title: "", text: "", sentences: [] }, title);
    this.#fields.push(field);
    before.parentElement.before(field.element);
    title.focus();
  }

  async #leave() {
    const fields = this.#fields;
    const question = { title: t("unsaved.title"), text: t("unsaved.text"), yes: t("unsaved.yes") };
    if (this.changed && !(await this.ask(question))) return;
    if (fields !== this.#fields) return; // it was left in another way meanwhile
    this.close();
    this.onleave();
  }

  async #submit() {
    if (this.#saving) return;
    const [fields, had] = [this.#fields, document.activeElement];
    const problem = this.#form.querySelector(".problem");
    problem.hidden = true;
    this.#hold(true);
    try {
      const note = this.#note();
      if (!note.sections.length) throw new Problem(0, "nothing_written");
      await this.onsave(note);
    } catch (error) {
      problem.textContent = explain(error);
      problem.hidden = false;
    }
    if (fields !== this.#fields) return; // it is closed, or another note is edited by now
    this.#hold(false);
    had.focus(); // a button that is disabled loses it
  }

  /** While it is being saved: what was typed then would be in no version. */
  #hold(saving) {
    this.#saving = saving;
    this.#form.setAttribute("aria-busy", String(saving));
    for (const each of this.#form.elements) each[each.localName === "button" ? "disabled" : "readOnly"] = saving;
    this.#form.querySelector("[type=submit]").textContent = t(saving ? "edit.saving" : "edit.save");
  }

  /** As `PUT …/notes/{version}` takes it. A section without a sentence is left out. */
  #note() {
    const [{ title }, ...fields] = this.#fields;
    const taken = new Set(fields.map(({ section }) => section.key));
    const sections = fields.map(({ section, title: own, text }) => {
      const named = own ? own.value.trim() || t("edit.untitled") : section.title;
      const key = section.key || keyOf(named, taken);
      taken.add(key);
      return { key, title: named, sentences: edited(text.value, section.sentences) };
    });
    return { title: title.value.trim(), sections: sections.filter(({ sentences }) => sentences.length) };
  }

  #said() {
    return JSON.stringify(this.#fields.map(({ title, text }) => [title?.value, text?.value]));
  }
}

const rows = (section) => Math.max(2, section.sentences.reduce((sum, { text }) => sum + Math.ceil(text.length / 60), 1));

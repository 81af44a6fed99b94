// A note under a provider's hands: a field for each section, a line for each sentence. What is pasted is text.

import { h } from "./dom.js";
import { editable, edited, keyOf } from "./note_text.js";
import { explain, t } from "./texts.js";

export class Editor {
  #form;
  #save;
  #closed;
  #fields = []; // {title, text, section}
  #before = ""; // what it said when it was opened

  /** save: gets the note, raises what went wrong; closed: called when it is left without saving. */
  constructor(form, save, closed) {
    this.#form = form;
    this.#save = save;
    this.#closed = closed;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#submit();
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
    this.#fields[1]?.text.focus();
  }

  close() {
    this.#fields = [];
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

  #leave() {
    this.close();
    this.#closed();
  }

  async #submit() {
    const problem = this.#form.querySelector(".problem");
    const button = this.#form.querySelector("[type=submit]");
    problem.hidden = true;
    button.disabled = true;
    try {
      await this.#save(this.#note());
    } catch (error) {
      problem.textContent = explain(error);
      problem.hidden = false;
    }
    button.disabled = false;
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

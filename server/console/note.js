// The note: as it grows, and each of its versions. What a sentence rests on lights up in the transcript, and is played.

import { Problem } from "./api.js";
import { Editor } from "./editor.js";
import { $, fill, h, showOnly } from "./dom.js";
import { lines } from "./note_text.js";
import { explain, moment, t } from "./texts.js";

const FORMATS = { text: "txt", markdown: "md", fhir: "fhir.json", json: "json" };

export class NoteView {
  #body = $("note-body");
  #consultation = null;
  #versions = [];
  #shown = null; // the version that is read
  #tag = ""; // its ETag
  #live = false;
  #drafting = ""; // another template, in which the draft is wanted
  #asking = false; // for such a draft
  #editor;
  #turn = 0; // counts consultations: what was asked for another one comes too late

  /** onevidence: gets the ids that a sentence rests on; ask: asks a person, see `ask.js`; notify: says something. */
  constructor(api, { onevidence, ask, notify }) {
    Object.assign(this, { api, onevidence, ask, notify });
    this.#editor = new Editor($("note-edit"), (note) => this.#save(note), () => this.#render());
    $("note-version").addEventListener("change", ({ target }) => this.#read(Number(target.value)));
    $("note-again").addEventListener("click", () => this.#writeAgain());
    $("note-template").addEventListener("change", () => this.#live && this.#draftIn($("note-template").value));
    $("edit").addEventListener("click", () => this.#edit());
    $("approve").addEventListener("click", () => this.#approve(true));
    $("unapprove").addEventListener("click", () => this.#approve(false));
    $("copy").addEventListener("click", () => this.#copy());
    $("print").addEventListener("click", () => print());
    $("download").addEventListener("change", ({ target }) => this.#download(target));
    this.#body.addEventListener("click", ({ target }) => this.#pressed(target.closest(".sentence")));
    this.#body.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Whether something was edited and not saved. */
  get unsaved() {
    return this.#editor.changed;
  }

  /** The names of templates, to choose from. */
  offer(templates) {
    fill($("note-template"), templates.map(({ name, title }) => [name, title || name]));
  }

  show(consultation, { live, template }) {
    this.#turn += 1;
    this.#consultation = consultation;
    this.#versions = [];
    this.#shown = null;
    this.#live = live;
    this.#drafting = "";
    if (template) $("note-template").value = template;
    this.#editor.close();
    this.#render();
    consultation.show(this);
  }

  /** Again, in another language of the page. */
  write() {
    this.#body.replaceChildren();
    this.#render();
  }

  /** Whether people still talk. */
  goesOn(live) {
    if (live === this.#live) return;
    this.#live = live;
    this.#render();
  }

  // What was told

  ondraft() {
    if (this.#shown) return;
    if (this.#drafting) this.#redraft();
    else this.#render();
  }

  async ondone() {
    this.#live = false;
    const turn = this.#turn;
    await this.#load();
    if (turn === this.#turn && this.#drafting && this.#versions.length) await this.#writeAgain();
  }

  // Versions

  async #load(number) {
    const turn = this.#turn;
    await this.#trying(async () => {
      const { versions } = await this.api.json(`api/encounters/${this.#consultation.encounter}/notes`);
      if (turn !== this.#turn) return;
      this.#versions = versions;
      const wanted = number ?? versions.at(-1)?.version;
      if (wanted) await this.#read(wanted);
      else this.#render();
    });
  }

  async #read(number) {
    const turn = this.#turn;
    await this.#trying(async () => {
      const answer = await this.api.ask(this.#path(number));
      if (turn === this.#turn) this.#take(await answer.json(), answer.headers.get("ETag"));
    });
  }

  #take(told, tag) {
    const version = { title: "", generator: "", sections: [], ...told }; // what is empty is not told
    const at = this.#versions.findIndex((each) => each.version === version.version);
    if (at < 0) this.#versions.push(version);
    else this.#versions[at] = version;
    this.#shown = version;
    this.#tag = tag;
    $("note-template").value = version.template;
    this.#render();
  }

  #path(number = this.#shown.version) {
    return `api/encounters/${this.#consultation.encounter}/notes/${number}`;
  }

  async #writeAgain() {
    if (this.#live) return this.#draftIn($("note-template").value);
    const wishes = { template: $("note-template").value, style: $("note-style").value };
    const turn = this.#turn;
    $("note-again").disabled = true;
    $("note-state").textContent = t("note.writing");
    await this.#trying(async () => {
      const answer = await this.api.ask(`api/encounters/${this.#consultation.encounter}/notes`, { method: "POST", json: wishes });
      if (turn === this.#turn) this.#take(await answer.json(), answer.headers.get("ETag"));
    });
    $("note-again").disabled = false;
    this.#render();
  }

  /** While people talk: the note so far in another template, whenever there is more of it. */
  async #draftIn(template) {
    this.#drafting = template;
    await this.#redraft();
  }

  async #redraft() {
    if (this.#asking) return;
    this.#asking = true;
    const turn = this.#turn;
    await this.#trying(async () => {
      const query = new URLSearchParams({ template: this.#drafting, style: $("note-style").value });
      const draft = await this.api.json(`api/encounters/${this.#consultation.encounter}/notes/draft?${query}`);
      if (turn === this.#turn && !this.#shown) this.#render(draft);
    });
    this.#asking = false;
  }

  async #approve(approved) {
    if (approved && !(await this.ask({ title: t("approve.title"), text: t("approve.text"), yes: t("approve.yes") }))) return;
    await this.#trying(async () => {
      const json = { review_status: approved ? "approved" : "draft" };
      const answer = await this.api.ask(this.#path(), { method: "PATCH", headers: { "If-Match": this.#tag }, json });
      this.#take(await answer.json(), answer.headers.get("ETag"));
      this.notify(t(approved ? "note.approved" : "note.reopened"));
    });
  }

  // Editing

  #edit() {
    this.#editor.open(this.#shown);
    this.#render();
  }

  /** Raises `Problem`: then the editor keeps what was written. */
  async #save(note) {
    try {
      const answer = await this.api.ask(this.#path(), { method: "PUT", headers: { "If-Match": this.#tag }, json: note });
      this.#editor.close();
      this.#take(await answer.json(), answer.headers.get("ETag"));
    } catch (problem) {
      if (problem.status === 409 || problem.status === 412) await this.#behindTheNewest();
      throw problem;
    }
  }

  /** Somebody else has edited it: what is saved next is an edit of theirs. */
  async #behindTheNewest() {
    const { versions } = await this.api.json(`api/encounters/${this.#consultation.encounter}/notes`);
    const answer = await this.api.ask(this.#path(versions.at(-1).version));
    this.#versions = versions;
    this.#take(await answer.json(), answer.headers.get("ETag"));
  }

  // Taking it along

  async #copy() {
    await this.#trying(async () => {
      const text = await (await this.#document("text")).text();
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        throw new DOMException("", "NoClipboard"); // the page is not secure, or the browser does not let it
      }
      this.notify(t("note.copied"));
    });
  }

  async #download(select) {
    const format = select.value;
    select.value = "";
    await this.#trying(async () => {
      const url = URL.createObjectURL(await (await this.#document(format)).blob());
      h("a", { href: url, download: `note-${this.#consultation.encounter}-${this.#shown.version}.${FORMATS[format]}` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    });
  }

  #document(format) {
    return this.api.ask(`${this.#path()}/document?format=${format}`);
  }

  // What is seen

  #render(draft = this.#consultation.draft) {
    const editing = this.#editor.isOpen;
    const version = this.#shown;
    const approved = version?.review_status === "approved";
    const written = version !== null && !version.note_absence;
    showOnly(editing ? $("note-edit") : this.#body, [this.#body, $("note-edit")]);
    if (!editing) this.#fill(version ?? drafted(draft));
    this.#offerVersions();
    for (const id of ["copy", "print", "download"]) $(id).hidden = !written || editing;
    $("edit").hidden = !written || editing || this.#live;
    $("approve").hidden = !written || editing || approved;
    $("unapprove").hidden = !approved || editing;
    $("note-again").hidden = editing || this.#live || version === null;
    $("note-template").disabled = $("note-style").disabled = editing;
    $("note-state").textContent = this.#state(version);
    $("note-state").className = `state ${approved ? "approved" : "draft"}`;
  }

  #state(version) {
    if (version === null) return this.#consultation.draft.keys.length || this.#live ? t("note.growing") : "";
    if (version.note_absence) return "";
    const by = version.generator.startsWith("model:") ? version.generator.slice(6) : t(`writer.${version.generator}`);
    const parts = [t(`review.${version.review_status}`), by, moment(version.edited_at ?? version.created_at)];
    if (version.fallback) parts.push(t("note.fallback"));
    if (version.left_out) parts.push(t("note.left_out", { count: version.left_out }));
    return parts.join(" · ");
  }

  #offerVersions() {
    const select = $("note-version");
    select.hidden = this.#versions.length < 2 || this.#editor.isOpen;
    fill(select, this.#versions.map((each) => [String(each.version), t("note.version", { number: each.version })]), String(this.#shown?.version));
  }

  #fill(note) {
    if (note.note_absence) {
      const why = explain(new Problem(0, note.note_absence.code, note.note_absence.message));
      return this.#body.replaceChildren(h("p", { class: "quiet" }, t("note.none", { why })));
    }
    if (!note.sections.length) return this.#body.replaceChildren(h("p", { class: "quiet" }, t(this.#live ? "note.later" : "note.empty")));
    const known = new Map([...this.#body.querySelectorAll("section")].map((each) => [each.dataset.key, each]));
    const sections = note.sections.map((section) => {
      const now = JSON.stringify(section);
      const there = known.get(section.key);
      return there?.dataset.said === now ? there : this.#section(section, now); // what did not change is not touched
    });
    this.#body.replaceChildren(h("h3", { class: "note-title" }, note.title), ...sections);
    const first = this.#body.querySelector(".sentence");
    if (first && !this.#body.querySelector('.sentence[tabindex="0"]')) first.tabIndex = 0;
  }

  #section(section, said) {
    const element = h("section", { data: { key: section.key, said } }, h("h4", {}, section.title));
    let list = null;
    for (const line of lines(section)) {
      if (line.heading) {
        element.append(h("h5", {}, line.heading));
        list = null;
      } else if (line.bullet) {
        if (!list) element.append((list = h("ul", {})));
        list.append(h("li", {}, ...this.#sentences(line.sentences)));
      } else {
        element.append(h("p", {}, ...this.#sentences(line.sentences)));
        list = null;
      }
    }
    return element;
  }

  #sentences(sentences) {
    return sentences.flatMap(({ text, items, faults = [] }, at) => {
      const about = faults.length ? t("note.unsupported") : t("note.evidence");
      const properties = { class: `sentence${faults.length ? " doubtful" : ""}`, role: "button", tabindex: -1, title: about, data: { items: items.join() } };
      return [at ? " " : null, h("span", items.length ? properties : { class: "typed" }, text)];
    });
  }

  // Sentences

  #pressed(sentence) {
    if (!sentence || getSelection().toString()) return; // who selects words does not press
    this.#focus(sentence);
    for (const each of this.#body.querySelectorAll(".sentence.lit")) each.classList.remove("lit");
    sentence.classList.add("lit");
    this.onevidence(sentence.dataset.items.split(","));
  }

  #key(event) {
    const sentence = event.target.closest(".sentence");
    if (!sentence) return;
    const all = [...this.#body.querySelectorAll(".sentence")];
    const to = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" || event.key === " ") this.#pressed(sentence);
    else if (to) this.#focus(all[Math.max(0, Math.min(all.length - 1, all.indexOf(sentence) + to))]);
    else return;
    event.preventDefault();
  }

  #focus(sentence) {
    for (const each of this.#body.querySelectorAll('.sentence[tabindex="0"]')) each.tabIndex = -1;
    sentence.tabIndex = 0;
    sentence.focus();
  }

  async #trying(work) {
    try {
      await work();
    } catch (problem) {
      this.notify(explain(problem), "problem");
    }
  }
}

/** A draft as `GET …/notes/draft` gives it, or as events have told it. */
function drafted(draft) {
  const sections = Array.isArray(draft.sections) ? draft.sections : draft.keys.map((key) => draft.sections.get(key));
  return { title: draft.title, sections: sections.filter(Boolean) };
}

// The note: as it grows, and each of its versions. What a sentence rests on lights up in the transcript, and is played.

import { Problem } from "./api.js";
import { Editor } from "./editor.js";
import { $, arrange, fill, h, refocus, showOnly, unmark } from "./dom.js";
import { Menu } from "./menu.js";
import { lines } from "./note_text.js";
import { Pauses, sleep } from "./pauses.js";
import { explain, kinds, moment, t, writerName } from "./texts.js";

const FORMATS = { text: "txt", markdown: "md", fhir: "fhir.json", json: "json" };

export class NoteView {
  #body = $("note-body");
  #consultation = null;
  #versions = [];
  #shown = null; // the version that is read
  #tag = ""; // its ETag
  #live = false; // people still talk
  #closing = false; // they do not any more, and the note is being written
  #wish = null; // {template, style} that was chosen while people talk: of the draft, and of the note in the end
  #wished = null; // the newest draft of that kind
  #asking = false; // for such a draft
  #written = new Set(); // encounters of which a version more is being written
  #loading = false; // what was written is being asked for
  #editor;
  #turn = 0; // counts consultations: what was asked for another one comes too late
  #reads = 0; // counts what was asked for to be read: of two versions the one that was chosen last is shown

  /** onevidence: gets the ids that a sentence rests on; ask: asks a person, see `ask.js`; notify: says something. */
  constructor(api, { onevidence, ask, notify }) {
    Object.assign(this, { api, onevidence, ask, notify });
    this.#editor = new Editor($("note-edit"), { onsave: (note) => this.#save(note), onleave: () => this.#edited(), ask });
    $("note-version").addEventListener("change", ({ target }) => this.#trying(() => this.#read(Number(target.value))));
    $("note-again").addEventListener("click", () => this.#write(chosen()).then(() => refocus($("note-again"))));
    for (const id of ["note-template", "note-style"]) $(id).addEventListener("change", () => this.#live && this.#draftAnew());
    $("edit").addEventListener("click", () => this.#edit());
    $("approve").addEventListener("click", () => this.#approve(true));
    $("unapprove").addEventListener("click", () => this.#approve(false));
    $("copy").addEventListener("click", () => this.#copy());
    $("print").addEventListener("click", () => print());
    new Menu($("download-menu"), $("download"), (format) => this.#download(format));
    document.addEventListener("visibilitychange", () => this.#look());
    this.#body.addEventListener("click", ({ target }) => this.#pressed(target.closest(".sentence")));
    this.#body.addEventListener("keydown", (event) => this.#key(event));
  }

  get #writing() {
    return this.#written.has(this.#consultation.encounter);
  }

  /** Whether something was edited and not saved. */
  get unsaved() {
    return this.#editor.changed;
  }

  /** The names of templates, to choose from. */
  offer(templates) {
    fill($("note-template"), kinds(templates));
  }

  /** template, style: those in which it is being written. */
  show(consultation, { live, template, style = "auto" }) {
    this.leave();
    this.#consultation = consultation;
    this.#versions = [];
    this.#live = live;
    this.#closing = false;
    this.#wish = this.#wished = null;
    if (template) $("note-template").value = template;
    $("note-style").value = style;
    this.#render();
    consultation.show(this);
  }

  /** The note is read no more: what is still on its way comes too late, what is not saved is lost. */
  leave() {
    this.#turn += 1;
    this.#asking = this.#loading = false;
    this.#editor.close();
    this.#consultation = this.#shown = null;
    this.#body.replaceChildren(); // nothing of it stays in the page
  }

  /** Again, in another language of the page. */
  write() {
    this.#body.replaceChildren();
    this.#render();
  }

  /** How far the consultation is: its `status`. */
  stands(status) {
    this.#live = status === "live";
    this.#closing = status === "closing";
    this.#render();
  }

  // What was told

  ondraft() {
    if (this.#shown) return;
    if (this.#wish) this.#redraft();
    else this.#render();
  }

  async ondone() {
    this.#live = false;
    const turn = this.#turn;
    await this.#load();
    if (turn === this.#turn && this.#wish && this.#shown && !fulfils(this.#shown, this.#wish)) await this.#write(this.#wish);
  }

  // Versions

  /** What was written, asked for until the server can tell. */
  async #load() {
    this.#loading = true;
    this.#render();
    await this.#trying(async (late) => {
      for (const pauses = new Pauses(); !late(); await sleep(pauses.next())) {
        try {
          return await this.#newest();
        } catch (problem) {
          if (!problem.passes) throw problem;
        }
      }
    }, () => (this.#loading = false));
  }

  /** All versions, of which the newest is read. Raises `Problem`. */
  async #newest() {
    const turn = this.#turn;
    const { versions } = await this.api.json(this.#notes());
    if (turn !== this.#turn) return;
    this.#versions = versions;
    if (versions.length) return this.#read(versions.at(-1).version);
    this.#loading = false;
    this.#render();
  }

  /** Raises `Problem`. */
  async #read(number) {
    const [turn, read] = [this.#turn, (this.#reads += 1)];
    const [told, tag] = await this.#asked(this.#path(number));
    if (turn === this.#turn && read === this.#reads) this.#take(told, tag);
  }

  /** A version, and its ETag. Raises `Problem`. */
  async #asked(path, options) {
    const answer = await this.api.ask(path, options);
    return [await answer.json(), answer.headers.get("ETag")];
  }

  #take(told, tag) {
    const version = { title: "", generator: "", sections: [], ...told }; // what is empty is not told
    const at = this.#versions.findIndex((each) => each.version === version.version);
    if (at < 0) this.#versions.push(version);
    else this.#versions[at] = version;
    this.#reads += 1;
    this.#loading = false;
    this.#shown = version;
    this.#tag = tag;
    $("note-template").value = version.template;
    $("note-style").value = version.style || "auto";
    this.#render();
  }

  #notes() {
    return `api/encounters/${this.#consultation.encounter}/notes`;
  }

  #path(number = this.#shown.version) {
    return `${this.#notes()}/${number}`;
  }

  /** One version more. Whoever leaves meanwhile, and comes back, finds it. */
  async #write(wish) {
    const { encounter } = this.#consultation;
    const written = this.#asked(this.#notes(), { method: "POST", json: wish }).finally(() => this.#written.delete(encounter));
    this.#written.add(encounter);
    this.#render();
    const [turn, shown] = [this.#turn, () => this.#consultation?.encounter === encounter];
    try {
      const [told, tag] = await written;
      if (turn === this.#turn) this.#take(told, tag);
      else if (shown()) await this.#newest();
    } catch (problem) {
      if (!shown()) return;
      this.#render();
      this.notify(explain(problem), "problem");
    }
  }

  /** What was written in another window: once somebody looks at this one again. */
  async #look() {
    if (document.hidden || !this.#shown || this.#editor.isOpen || this.#writing) return;
    const [turn, known] = [this.#turn, this.#versions.length];
    try {
      const { versions } = await this.api.json(this.#notes());
      if (turn !== this.#turn || this.#editor.isOpen || versions.length === known) return;
      if (this.#shown.version === this.#versions.at(-1).version) return await this.#newest();
      this.#versions = versions;
      this.#render();
    } catch {
      // what is shown stays, until somebody looks again
    }
  }

  /** While people talk: the note so far as it was chosen now, and again whenever there is more of it. */
  async #draftAnew() {
    this.#wish = chosen();
    await this.#redraft();
  }

  async #redraft() {
    if (this.#asking || this.#shown || !this.#consultation.draft.keys.length) return; // of too little nothing can be drafted
    this.#asking = true;
    const wish = this.#wish;
    const anew = () => {
      this.#asking = false;
      if (wish !== this.#wish) this.#redraft(); // something else was chosen meanwhile
    };
    await this.#trying(async (late) => {
      const draft = await this.api.json(`${this.#notes()}/draft?${new URLSearchParams(wish)}`);
      if (late()) return;
      if (wish === this.#wish) this.#wished = draft;
      anew();
      if (!this.#shown) this.#render();
    }, anew);
  }

  async #approve(approved) {
    const path = this.#path();
    const request = { method: "PATCH", headers: { "If-Match": this.#tag }, json: { review_status: approved ? "approved" : "draft" } };
    await this.#trying(async (late) => {
      if (approved && !(await this.ask({ title: t("approve.title"), text: t("approve.text"), yes: t("approve.yes") }))) return;
      if (late()) return; // what they have read is not what is shown now
      const [told, tag] = await this.#asked(path, request).catch((problem) => this.#outdated(problem, late));
      if (late()) return;
      this.#take(told, tag);
      refocus($(approved ? "unapprove" : "approve"));
      this.notify(t(approved ? "note.approved" : "note.reopened"));
    });
  }

  /** Somebody else has approved of it, or withdrawn that: show how it is now. Raises `Problem`. */
  async #outdated(problem, late) {
    if (problem.status === 412 && !late()) await this.#read(this.#shown.version);
    throw problem;
  }

  // Editing

  #edit() {
    this.#editor.open(this.#shown);
    this.#render();
    this.#editor.focus();
  }

  /** It is read again. */
  #edited() {
    this.#render();
    refocus($("edit"));
  }

  /** Raises `Problem`: then the editor keeps what was written. */
  async #save(note) {
    const turn = this.#turn;
    try {
      const [told, tag] = await this.#asked(this.#path(), { method: "PUT", headers: { "If-Match": this.#tag }, json: note });
      if (turn !== this.#turn) return;
      this.#editor.close();
      this.#take(told, tag);
      refocus($("edit"));
    } catch (problem) {
      if (turn !== this.#turn || (problem.status !== 409 && problem.status !== 412)) throw problem;
      await this.#newest(); // somebody else has edited it: what is saved next is an edit of theirs
      throw new Problem(0, "edited_meanwhile", String(this.#shown.version));
    }
  }

  // Taking it along

  /** The browser is asked at once, while somebody presses the button; the text comes later. */
  async #copy() {
    const text = this.#document("text").then((answer) => answer.text());
    await this.#trying(async () => {
      try {
        await toClipboard(text);
      } catch {
        await text; // where that failed, it says why
        throw new DOMException("", "NoClipboard"); // the page is not secure, or the browser does not let it
      }
      this.notify(t("note.copied"));
    });
  }

  async #download(format) {
    const name = `note-${this.#consultation.encounter}-${this.#shown.version}.${FORMATS[format]}`;
    await this.#trying(async () => {
      const url = URL.createObjectURL(await (await this.#document(format)).blob());
      h("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    });
  }

  #document(format) {
    return this.api.ask(`${this.#path()}/document?format=${format}`);
  }

  // What is seen

  #render() {
    if (!this.#consultation) return; // it is read no more
    const editing = this.#editor.isOpen;
    const version = this.#shown;
    const approved = version?.review_status === "approved";
    const written = version !== null && !version.note_absence;
    showOnly(editing ? $("note-edit") : this.#body, [this.#body, $("note-edit")]);
    if (!editing) this.#fill(version ?? drafted(this.#wished ?? this.#consultation.draft));
    this.#offerVersions();
    for (const id of ["copy", "print", "download"]) $(id).hidden = !written || editing;
    $("edit").hidden = !written || editing || this.#live || this.#writing;
    $("approve").hidden = !written || editing || approved;
    $("unapprove").hidden = !approved || editing;
    $("note-again").hidden = editing || this.#live || version === null;
    $("note-again").disabled = this.#writing;
    $("note-template").disabled = $("note-style").disabled = editing;
    $("note-state").textContent = this.#state(version);
    $("note-state").className = `state ${approved ? "approved" : "draft"}`;
  }

  #state(version) {
    if (this.#writing) return t("note.writing");
    if (version === null && this.#loading) return t("note.loading");
    if (version === null) return this.#live ? t("note.growing") : this.#closing ? t("note.writing") : "";
    if (version.note_absence) return "";
    const parts = [t(`review.${version.review_status}`), writerName(version.generator), moment(version.edited_at ?? version.created_at)];
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
    if (!note.sections.length) {
      const why = this.#loading ? "note.loading" : this.#live ? "note.later" : "note.empty";
      return this.#body.replaceChildren(h("p", { class: "quiet" }, t(why)));
    }
    const { activeElement: had } = document;
    const [read, lit] = [this.#body.contains(had) ? had : null, this.#body.querySelector(".lit")];
    const known = new Map([...this.#body.querySelectorAll("section")].map((each) => [each.dataset.key, each]));
    const sections = note.sections.map((section) => {
      const now = JSON.stringify(section);
      const there = known.get(section.key);
      return there?.dataset.said === now ? there : this.#section(section, now); // what did not change is not touched
    });
    const title = this.#body.querySelector(".note-title") ?? h("h3", { class: "note-title" });
    if (title.textContent !== note.title) title.textContent = note.title;
    arrange(this.#body, [title, ...sections]);
    if (lit && !lit.isConnected) this.#same(lit)?.classList.add("lit");
    if (read && !read.isConnected) this.#focus(this.#same(read) ?? this.#body);
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
    unmark(this.#body, "lit");
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
    sentence.focus({ preventScroll: document.activeElement === document.body }); // what comes back does not move the page
  }

  /** The sentence that says the same by now. */
  #same({ textContent }) {
    return [...this.#body.querySelectorAll(".sentence")].find((each) => each.textContent === textContent);
  }

  /** What goes wrong is said. `work` gets a function that tells whether the note was left meanwhile: then nobody wants to
   *  hear of it any more, and what came back, or went wrong, is dropped. `failed` is called before it is said. */
  async #trying(work, failed = () => {}) {
    const turn = this.#turn;
    const late = () => turn !== this.#turn;
    try {
      await work(late);
    } catch (problem) {
      if (late()) return;
      failed();
      this.#render();
      this.notify(explain(problem), "problem");
    }
  }
}

const chosen = () => ({ template: $("note-template").value, style: $("note-style").value });

/** text: a promise. Raises what the browser does. */
async function toClipboard(text) {
  if (!("ClipboardItem" in window)) return navigator.clipboard.writeText(await text);
  const blob = text.then((known) => new Blob([known], { type: "text/plain" }));
  blob.catch(() => {}); // whoever asked for the text hears of it
  await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
}

/** Whether a version is of the kind that somebody wished for, as far as there is anything to write. */
const fulfils = ({ template, style, note_absence }, wish) => note_absence || (template === wish.template && (style || "auto") === wish.style);

/** A draft as `GET …/notes/draft` gives it, or as events have told it. */
function drafted(draft) {
  const sections = Array.isArray(draft.sections) ? draft.sections : draft.keys.map((key) => draft.sections.get(key));
  return { title: draft.title, sections: sections.filter(Boolean) };
}

// The form before a consultation: where its words come from, who agreed to be recorded, and what is to become of it.

import { RECORDED } from "./capture.js";
import { $, fill } from "./dom.js";
import { canRecord } from "./recorder.js";
import { kinds, languageName, t } from "./texts.js";

export class StartForm {
  #form = $("start-form");
  #limits = null;
  #key = newKey(); // of what is filled in: sent twice, because an answer was lost, it is the same
  #languages = { heard: [], typed: [] };
  #spoken = null; // the language that somebody chose
  #busy = new Set(); // with which sources a consultation is being begun

  /** onstart: gets what was filled in. */
  constructor(onstart) {
    $("spoken").addEventListener("change", ({ target }) => (this.#spoken = target.value));
    this.#form.addEventListener("change", () => this.#adapt());
    this.#form.addEventListener("input", () => (this.#key = newKey()));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#check()) onstart(this.#filledIn());
    });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#offerMicrophones());
  }

  /** What the server can do: see `GET /api/capabilities`. */
  offer(capabilities) {
    const { default_template: template, default_style: style } = capabilities;
    const first = this.#limits === null; // later, in another language of the page, what was chosen stays
    this.#limits = capabilities.limits;
    this.#languages = { heard: capabilities.recogniser.languages, typed: capabilities.note_languages };
    fill($("template"), kinds(capabilities.templates), first ? template : undefined);
    if (first) this.#form.elements.style.value = style;
    this.show();
  }

  show() {
    this.#offerMicrophones();
    this.#explainWhatIsMissing();
    this.#adapt();
  }

  /** The browser asks somebody for such a source; null: it does not any more. */
  asks(source) {
    $("start-asks").textContent = source ? t(`start.asks.${source}`) : "";
  }

  /** Whether a consultation from such a source is being begun. Meanwhile one of another kind can be. */
  busy(source, whether) {
    if (whether) this.#busy.add(source);
    else this.#busy.delete(source);
    this.#adapt();
  }

  /** Whether a transcript is being typed. */
  get typed() {
    return this.#source === "typed" && this.#form.elements.typed.value.trim() !== "";
  }

  get #source() {
    return this.#form.elements.source.value;
  }

  #adapt() {
    const source = this.#source;
    for (const part of this.#form.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(source);
    for (const [name, other] of [["given_by", "given_by_other"], ["method", "method_other"]]) {
      this.#form.elements[other].hidden = this.#form.elements[name].value !== "other";
    }
    this.#offerLanguages(source === "typed" ? this.#languages.typed : this.#languages.heard);
    const go = $("start").querySelector("[type=submit]");
    go.textContent = t(`start.go.${source}`);
    go.disabled = [...this.#busy].some((begun) => begun === source || (RECORDED.has(begun) && RECORDED.has(source)));
  }

  /** What is typed needs no recogniser: only whoever writes the note has to know its language. None: any. */
  #offerLanguages(known) {
    const languages = known.length ? known : ["en", "de", "fr", "it", "es"];
    const preferred = [this.#spoken, ...navigator.languages.map((tag) => tag.split("-")[0])].find((tag) => languages.includes(tag));
    fill($("spoken"), languages.map((tag) => [tag, languageName(tag)]), preferred ?? languages[0]);
  }

  #explainWhatIsMissing() {
    const media = navigator.mediaDevices;
    const missing = !isSecureContext ? "start.insecure" : !media || !canRecord() ? "start.unsupported" : "";
    for (const source of ["microphone", "tab"]) {
      const able = !missing && (source === "microphone" || "getDisplayMedia" in media);
      const choice = this.#form.querySelector(`[name=source][value=${source}]`);
      choice.disabled = !able;
      if (!able && choice.checked) this.#form.querySelector("[name=source][value=file]").checked = true;
    }
    $("start-missing").hidden = !missing;
    $("start-missing").textContent = missing ? t(missing) : "";
  }

  async #offerMicrophones() {
    const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    const named = devices.filter(({ kind, label }) => kind === "audioinput" && label);
    $("microphone-choice").hidden = named.length < 2;
    fill($("device"), named.map(({ deviceId, label }) => [deviceId, label]));
  }

  /** Says what is missing, at the field where it is. */
  #check() {
    const { elements } = this.#form;
    const source = this.#source;
    for (const each of elements) each.setCustomValidity?.("");
    const files = [...elements.files.files];
    if (source === "file" && !files.length) elements.files.setCustomValidity(t("start.no_file"));
    if (source === "file" && files.length > this.#limits.max_recording_files) {
      elements.files.setCustomValidity(t("start.too_many", { most: this.#limits.max_recording_files }));
    }
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    if (source === "file" && bytes > this.#limits.max_recording_bytes) {
      elements.files.setCustomValidity(t("start.too_large", { most: Math.floor(this.#limits.max_recording_bytes / 2 ** 20) }));
    }
    if (source === "typed" && !elements.typed.value.trim()) elements.typed.setCustomValidity(t("start.no_text"));
    if (source !== "typed") {
      for (const name of ["given_by", "method"]) {
        const missing = elements[name].value === "other" && !elements[`${name}_other`].value.trim();
        elements[`${name}_other`].setCustomValidity(missing ? t("start.no_consent") : "");
        elements[name].setCustomValidity(elements[name].value ? "" : t("start.no_consent"));
      }
    }
    return this.#form.reportValidity();
  }

  #filledIn() {
    const { elements } = this.#form;
    const said = (name) => (elements[name].value === "other" ? elements[`${name}_other`].value.trim() : elements[name].value);
    const consent = { given_by: said("given_by"), method: said("method"), at: new Date().toISOString() };
    const options = { language: elements.language.value, template: elements.template.value, style: elements.style.value };
    const people = Number(elements.people.value);
    return {
      source: this.#source,
      consent: this.#source === "typed" ? null : consent,
      options: people ? { ...options, expected_speakers: people } : options,
      device: elements.device.value,
      own: elements.own.checked,
      files: [...elements.files.files].sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true })),
      typed: elements.typed.value,
      way: elements.way.value,
      key: this.#key,
    };
  }

  /** These files were sent: whether nothing else was filled in meanwhile, so that all of it can be emptied. */
  clearSent({ key, files: sent }) {
    const untouched = key === this.#key;
    const { files } = this.#form.elements;
    if (untouched) this.clear();
    else if (sent.includes(files.files[0])) files.value = "";
    return untouched;
  }

  /** Empty what was about one patient. */
  clear() {
    const { elements } = this.#form;
    elements.typed.value = elements.files.value = elements.given_by.value = elements.method.value = "";
    elements.given_by_other.value = elements.method_other.value = "";
    this.#key = newKey();
    this.#adapt();
  }
}

const newKey = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; // the first only on secure pages

// Past encounters of this key: found, opened, erased. The list holds nothing of what was said.

import { OUTCOMES } from "./consultation.js";
import { $, arrange, h, refocus } from "./dom.js";
import { clock, explain, languageName, moment, t } from "./texts.js";

const PAGE = 30;
const MOST = 200; // that the server lists at once
const LOOK_MS = 15_000; // each look is in the server's audit: rarely

export class Past {
  #list = $("past-list");
  #cursor = null;
  #turn = 0; // counts what was asked: only the answer to what was asked last is shown
  #later = 0; // the timer of the next look
  #opened = ""; // the encounter that was read last: who comes back finds it

  /** onopen: gets the encounter; onerase: the same, resolves with whether it was erased. */
  constructor(api, { onopen, onerase }) {
    Object.assign(this, { api, onopen, onerase });
    $("past-filter").addEventListener("change", () => this.#anew());
    $("past-filter").addEventListener("submit", (event) => event.preventDefault());
    $("past-more").addEventListener("click", () => this.#more());
    document.addEventListener("visibilitychange", () => this.#look());
  }

  /** What was shown before stays where it was, and is asked for again. */
  async show() {
    const count = this.#list.children.length;
    if (!count || count > MOST) return this.#anew();
    this.#find(this.#opened);
    await this.#renew();
  }

  async #anew() {
    this.#list.replaceChildren();
    $("past-state").textContent = t("past.loading");
    await this.#load(PAGE, null, (encounters) => this.#fill(encounters));
  }

  async #renew() {
    await this.#load(Math.max(PAGE, this.#list.children.length), null, (encounters) => this.#fill(encounters));
  }

  /** Again by itself, where somebody sees it. */
  #look() {
    clearTimeout(this.#later);
    if (document.hidden || $("past").hidden || $("past-more").disabled || this.#list.children.length > MOST) return;
    this.#renew();
  }

  async #more() {
    $("past-state").textContent = t("past.loading");
    $("past-more").disabled = true; // pressed twice it would bring the same page twice
    await this.#load(PAGE, this.#cursor, (encounters) => {
      const rows = encounters.map((each) => this.#tell(this.#row(each.encounter_id), each));
      this.#list.append(...rows);
      rows[0]?.firstChild.focus(); // the button that had it was disabled
    });
    $("past-more").disabled = false;
  }

  async #load(limit, cursor, take) {
    const turn = (this.#turn += 1);
    clearTimeout(this.#later);
    try {
      const page = await this.api.json(`api/encounters?${this.#query(limit, cursor)}`);
      if (turn !== this.#turn) return;
      this.#cursor = page.next_cursor;
      take(page.encounters);
      $("past-state").textContent = this.#list.children.length ? "" : t("past.none");
    } catch (problem) {
      if (turn !== this.#turn) return;
      $("past-state").textContent = explain(problem);
    }
    $("past-more").hidden = !this.#cursor;
    const goesOn = [...this.#list.children].some((row) => !OUTCOMES.has(row.dataset.status));
    if (goesOn) this.#later = setTimeout(() => this.#look(), LOOK_MS);
  }

  #query(limit, cursor) {
    const { status, from, until } = $("past-filter").elements;
    const query = new URLSearchParams({ limit });
    if (status.value) query.set("status", status.value);
    if (from.value) query.set("created_from", new Date(`${from.value}T00:00`).toISOString());
    if (until.value) query.set("created_before", dayAfter(until.value).toISOString());
    if (cursor) query.set("cursor", cursor);
    return query;
  }

  #fill(encounters) {
    const known = new Map([...this.#list.children].map((row) => [row.dataset.id, row]));
    arrange(this.#list, encounters.map((each) => this.#tell(known.get(each.encounter_id) ?? this.#row(each.encounter_id), each)));
  }

  #row(id) {
    const row = h("li", { class: "encounter", data: { id } },
      h("a", { href: `#c/${id}`, class: "open", onclick: () => (this.#opened = id) }, h("strong", {}), h("span", {})),
      h("button", { type: "button", class: "erase", onclick: () => this.#erase(row) }));
    return row;
  }

  /** How far an encounter is by now. */
  #tell(row, { created_at, status, source, language, template, audio_ms = 0 }) {
    const [when, facts] = row.firstChild.children;
    const length = audio_ms ? clock(audio_ms) : source === "text" && t("past.typed"); // a live one's is told when it is over
    row.dataset.status = status;
    when.textContent = moment(created_at);
    facts.className = `quiet ${status}`;
    facts.textContent = [t(`status.${status}`), length, languageName(language), kindOfNote(template)].filter(Boolean).join(" · ");
    row.lastChild.textContent = t("past.erase");
    row.lastChild.setAttribute("aria-label", t("past.erase_one", { when: when.textContent }));
    return row;
  }

  async #erase(row) {
    if (!(await this.onerase(row.dataset.id))) return;
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    refocus(next ? next.firstChild : $("past-title"));
    await this.#renew();
  }

  #find(id) {
    const row = [...this.#list.children].find((each) => each.dataset.id === id);
    if (row) refocus(row.firstChild);
    this.#opened = "";
  }
}

/** Its title, as the form for a new consultation offers it. */
function kindOfNote(template) {
  return [...$("template").options].find(({ value }) => value === template)?.text ?? template;
}

function dayAfter(day) {
  const date = new Date(`${day}T00:00`);
  date.setDate(date.getDate() + 1);
  return date;
}

// Past encounters of this key: found, opened, erased. The list holds nothing of what was said.

import { $, h } from "./dom.js";
import { clock, explain, languageName, moment, t } from "./texts.js";

const PAGE = 30;

export class Past {
  #cursor = null;
  #turn = 0;

  /** onopen: gets the encounter; onerase: the same, resolves with whether it was erased. */
  constructor(api, { onopen, onerase }) {
    Object.assign(this, { api, onopen, onerase });
    $("past-filter").addEventListener("change", () => this.show());
    $("past-filter").addEventListener("submit", (event) => event.preventDefault());
    $("past-more").addEventListener("click", () => this.#more());
  }

  async show() {
    this.#cursor = null;
    this.#turn += 1;
    $("past-list").replaceChildren();
    await this.#more();
  }

  async #more() {
    const turn = this.#turn;
    const further = this.#cursor !== null;
    const { status, from, until } = $("past-filter").elements;
    const query = new URLSearchParams({ limit: PAGE });
    if (status.value) query.set("status", status.value);
    if (from.value) query.set("created_from", new Date(`${from.value}T00:00`).toISOString());
    if (until.value) query.set("created_before", dayAfter(until.value).toISOString());
    if (this.#cursor) query.set("cursor", this.#cursor);
    $("past-state").textContent = t("past.loading");
    $("past-more").disabled = true; // pressed twice it would bring the same page twice
    try {
      const page = await this.api.json(`api/encounters?${query}`);
      if (turn !== this.#turn) return;
      this.#cursor = page.next_cursor;
      const rows = page.encounters.map((each) => this.#row(each));
      $("past-list").append(...rows);
      if (further) rows[0]?.firstChild.focus(); // the button that had it was disabled
      $("past-state").textContent = $("past-list").children.length ? "" : t("past.none");
    } catch (problem) {
      if (turn !== this.#turn) return;
      $("past-state").textContent = explain(problem);
    }
    $("past-more").disabled = false;
    $("past-more").hidden = !this.#cursor;
  }

  #row(encounter) {
    const { encounter_id: id, created_at, status, language, template, audio_ms = 0 } = encounter;
    const facts = [t(`status.${status}`), audio_ms ? clock(audio_ms) : t("past.typed"), languageName(language), template];
    const when = moment(created_at);
    const erase = async () => {
      if (await this.onerase(id)) row.remove();
    };
    const row = h("li", { class: "encounter" },
      h("a", { href: `#c/${id}`, class: "open" }, h("strong", {}, when), h("span", { class: `quiet ${status}` }, facts.filter(Boolean).join(" · "))),
      h("button", { type: "button", class: "erase", "aria-label": t("past.erase_one", { when }), onclick: erase }, t("past.erase")));
    return row;
  }
}

function dayAfter(day) {
  const date = new Date(`${day}T00:00`);
  date.setDate(date.getDate() + 1);
  return date;
}

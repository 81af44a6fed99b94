// The transcript: a bubble for each item, what is being said below them, search, and whose words they are.

import { ROLES } from "./consultation.js";
import { $, h } from "./dom.js";
import { clock, t } from "./texts.js";

const NEAR_PX = 60; // from the end: who is there wants to see what comes

export class Transcript {
  #items = $("items");
  #partials = $("partials");
  #view = $("transcript-view");
  #follows = true;
  #moving = false; // to the end, with the next picture
  #bubbles = new Map(); // by id
  #found = [];
  #at = -1; // in what was found
  #consultation = null;
  #timed = true;

  /** oncorrect: gets {speakers} or {swap}, to be told to the server; onplay: gets an item, to be heard again. */
  constructor({ oncorrect, onplay }) {
    Object.assign(this, { oncorrect, onplay });
    this.#view.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    $("newest").addEventListener("click", () => this.#toEnd());
    $("swap").addEventListener("click", () => oncorrect({ swap: true }));
    $("search").addEventListener("input", () => this.#search());
    $("search").addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") this.#clearSearch();
      else return;
      event.preventDefault();
    });
  }

  show(consultation) {
    this.#consultation = consultation;
    this.#bubbles.clear();
    this.#items.replaceChildren();
    this.#partials.replaceChildren();
    this.#clearSearch();
    this.#follows = true;
    this.#timed = true;
    $("swap").hidden = true;
    $("transcript-empty").hidden = false;
    consultation.show(this);
  }

  // What was told

  onfinal(item, at) {
    $("transcript-empty").hidden = true;
    const bubble = this.#bubble(item);
    this.#bubbles.set(item.id, bubble);
    this.#items.insertBefore(bubble, this.#items.children[at] ?? null);
    this.#offerSwap();
    if ($("search").value) this.#search(false);
    this.#keepUp();
  }

  onpartials() {
    const partials = [...this.#consultation.partials.values()].sort((one, other) => one.start_ms - other.start_ms);
    const known = new Map([...this.#partials.children].map((each) => [each.dataset.id, each]));
    this.#partials.replaceChildren(...partials.map((each) => this.#provisional(each, known.get(each.id))));
    if (partials.length) $("transcript-empty").hidden = true;
    this.#keepUp();
  }

  /** Again, in another language of the page. */
  write() {
    for (const item of this.#consultation.items) this.#label(this.#bubbles.get(item.id), item);
  }

  onrenamed(items) {
    for (const item of items) this.#label(this.#bubbles.get(item.id), item);
    this.#offerSwap();
  }

  // What a note's sentence rests on

  /** Light up these items, and none besides; returns those that there are. */
  light(ids) {
    for (const lit of this.#items.querySelectorAll(".evidence")) lit.classList.remove("evidence");
    const items = ids.map((id) => this.#consultation.item(id)).filter(Boolean);
    for (const { id } of items) this.#bubbles.get(id).classList.add("evidence");
    if (items.length) this.#reveal(this.#bubbles.get(items[0].id));
    return items;
  }

  /** Mark the item that is being played; null: none is. */
  playing(item) {
    for (const each of this.#items.querySelectorAll(".playing")) each.classList.remove("playing");
    if (item) this.#bubbles.get(item.id)?.classList.add("playing");
  }

  // Bubbles

  #bubble(item) {
    const who = h("button", { class: "who", type: "button", "aria-haspopup": "menu", onclick: () => this.#choose(bubble, item) });
    const words = h("p", { class: "words" }, item.text);
    const bubble = h("li", { data: { id: item.id } }, h("div", { class: "line" }, who, this.#time(item)), words);
    return this.#label(bubble, item);
  }

  #time(item) {
    const { start_ms, end_ms } = item;
    if (end_ms - start_ms < 2) return null; // it was typed
    const when = h("time", { datetime: `PT${(start_ms / 1000).toFixed(1)}S` }, clock(start_ms));
    return h("button", { class: "when", type: "button", title: t("transcript.play"), onclick: () => this.onplay(item) }, when);
  }

  #label(bubble, { speaker, overlap }) {
    bubble.className = `item ${speaker}${bubble.classList.contains("evidence") ? " evidence" : ""}`;
    const who = bubble.querySelector(".who");
    who.textContent = t(`role.${speaker}`);
    who.title = t("transcript.change");
    bubble.classList.toggle("overlap", Boolean(overlap));
    return bubble;
  }

  /** The words that stay, and those that may change yet. */
  #provisional({ id, speaker, text, committed }, bubble) {
    const words = text.split(" ");
    bubble ??= h("li", { data: { id } }, h("p", { class: "words" }));
    bubble.className = `item partial ${speaker}`;
    const sure = words.slice(0, committed).join(" ");
    const open = words.slice(committed).join(" ");
    bubble.firstChild.replaceChildren(sure, sure && open ? " " : "", h("span", { class: "open" }, open));
    return bubble;
  }

  // Whose words they are

  #offerSwap() {
    const roles = new Set(this.#consultation.items.map(({ speaker }) => speaker));
    $("swap").hidden = !(roles.has("doctor") || roles.has("patient"));
  }

  #choose(bubble, item) {
    const menu = $("speaker-menu");
    const choose = (speaker) => {
      menu.hidePopover();
      if (speaker !== item.speaker) this.oncorrect({ speakers: [{ speaker_id: item.speaker_id, speaker }] });
    };
    const choices = ROLES.map((role) =>
      h("button", { type: "button", role: "menuitemradio", "aria-checked": String(role === item.speaker), onclick: () => choose(role) }, t(`role.${role}`)),
    );
    $("speaker-choices").replaceChildren(...choices);
    const { left, bottom } = bubble.querySelector(".who").getBoundingClientRect();
    menu.style.left = `${Math.min(left, innerWidth - 220)}px`;
    menu.style.top = `${Math.min(bottom + 4, innerHeight - 180)}px`;
    menu.showPopover();
    choices[ROLES.indexOf(item.speaker)].focus();
    menu.onkeydown = (event) => arrows(event, choices);
  }

  // Where the reader is

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.#view;
    this.#follows = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    $("newest").hidden = this.#follows;
  }

  /** Once for all that came since the last picture: asking for a height lays the whole page out. */
  #keepUp() {
    if (!this.#follows || this.#moving) return;
    this.#moving = true;
    requestAnimationFrame(() => {
      this.#moving = false;
      if (this.#follows) this.#view.scrollTop = this.#view.scrollHeight;
    });
  }

  #toEnd() {
    this.#follows = true;
    this.#keepUp();
    $("newest").hidden = true;
  }

  #reveal(bubble) {
    bubble.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
  }

  // Search

  #search(goes = true) {
    const wanted = $("search").value.trim().toLocaleLowerCase();
    for (const { bubble } of this.#found) bubble.classList.remove("found", "current");
    const ranges = [];
    this.#found = [];
    for (const bubble of wanted ? this.#items.children : []) {
      const text = bubble.querySelector(".words").firstChild;
      for (let at = text.data.toLocaleLowerCase().indexOf(wanted); at >= 0; at = text.data.toLocaleLowerCase().indexOf(wanted, at + 1)) {
        const range = new Range();
        range.setStart(text, at);
        range.setEnd(text, Math.min(text.length, at + wanted.length));
        ranges.push(range);
        this.#found.push({ bubble });
      }
    }
    for (const { bubble } of this.#found) bubble.classList.add("found");
    if (CSS.highlights && ranges.length) CSS.highlights.set("found", new Highlight(...ranges));
    else CSS.highlights?.delete("found");
    this.#at = -1;
    if (goes && this.#found.length) return this.#step(1);
    this.#count();
  }

  #step(by) {
    if (!this.#found.length) return;
    this.#found[this.#at]?.bubble.classList.remove("current");
    this.#at = (this.#at + by + this.#found.length) % this.#found.length;
    this.#found[this.#at].bubble.classList.add("current");
    this.#reveal(this.#found[this.#at].bubble);
    this.#count();
  }

  #count() {
    const wanted = $("search").value.trim();
    $("found").textContent = wanted ? t("search.found", { at: this.#at + 1, count: this.#found.length }) : "";
  }

  #clearSearch() {
    $("search").value = "";
    if (this.#consultation) this.#search();
  }
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Arrow keys move among choices. */
export function arrows(event, choices) {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  choices[(choices.indexOf(document.activeElement) + by + choices.length) % choices.length].focus();
}

// The transcript: a bubble for each item, what is being said below them, search, and whose words they are.

import { ROLES } from "./consultation.js";
import { $, arrange, h, unmark } from "./dom.js";
import { arrows } from "./menu.js";
import { clock, t } from "./texts.js";

const NEAR_PX = 60; // from the end: who comes there wants to see what comes
const END_PX = 2; // scrolled heights are rounded

export class Transcript {
  #items = $("items");
  #partials = $("partials");
  #view = $("transcript-view");
  #follows = true;
  #stood = { top: 0, height: 0 }; // where the reader was, in how much
  #moving = false; // to the end, with the next picture
  #bubbles = new Map(); // by id
  #wanted = ""; // what is searched
  #found = []; // {bubble}, as they stand
  #at = -1; // in what was found
  #consultation = null;

  /** oncorrect: gets {speakers} or {swap}, to be told to the server; onplay: gets an item, to be heard again. */
  constructor({ oncorrect, onplay }) {
    Object.assign(this, { oncorrect, onplay });
    this.#view.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const resized = new ResizeObserver(() => this.#keepUp()); // what nobody has seen yet is as high as was guessed
    for (const each of [this.#view, this.#items]) resized.observe(each);
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

  /** Nothing of it stays in the page. */
  leave() {
    this.#consultation = null;
    this.#bubbles.clear();
    this.#items.replaceChildren();
    this.#partials.replaceChildren();
    this.#clearSearch();
  }

  show(consultation) {
    this.leave();
    this.#consultation = consultation;
    this.#follows = true;
    this.#stood = { top: 0, height: 0 };
    $("newest").hidden = true;
    $("swap").hidden = true;
    $("transcript-empty").hidden = false;
    this.#sayOfNothing("transcript.empty");
    consultation.show(this);
  }

  /** Whether a screen reader is to read out what comes. */
  announce(whether) {
    this.#items.parentElement.setAttribute("aria-live", whether ? "polite" : "off");
  }

  // What was told

  onfinal(item, at) {
    $("transcript-empty").hidden = true;
    const bubble = this.#bubble(item);
    this.#bubbles.set(item.id, bubble);
    this.#items.insertBefore(bubble, this.#items.children[at] ?? null);
    this.#offerSwap();
    if (this.#wanted) {
      this.#find(bubble);
      this.#count();
    }
    this.#keepUp();
  }

  onpartials() {
    const partials = [...this.#consultation.partials.values()].sort((one, other) => one.start_ms - other.start_ms);
    const known = new Map([...this.#partials.children].map((each) => [each.dataset.id, each]));
    arrange(this.#partials, partials.map((each) => this.#provisional(each, known.get(each.id))));
    $("transcript-empty").hidden = partials.length + this.#bubbles.size > 0;
    this.#keepUp();
  }

  ondone() {
    this.#sayOfNothing("transcript.nothing");
  }

  /** What stands where nothing was said. */
  #sayOfNothing(key) {
    $("transcript-empty").dataset.t = key;
    $("transcript-empty").textContent = t(key);
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
    unmark(this.#items, "evidence");
    const items = ids.map((id) => this.#consultation.item(id)).filter(Boolean);
    for (const { id } of items) this.#bubbles.get(id).classList.add("evidence");
    if (items.length) this.#reveal(this.#bubbles.get(items[0].id));
    return items;
  }

  /** Mark the item that is being played; null: none is. */
  playing(item) {
    unmark(this.#items, "playing");
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
    bubble.classList.remove(...ROLES);
    bubble.classList.add("item", speaker);
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

  /** Only who goes up by hand leaves the end: the page moves by itself, too, when heights change. */
  #scrolled() {
    const { scrollTop: top, scrollHeight: height, clientHeight } = this.#view;
    if (!clientHeight) return; // it is not shown
    const up = this.#stood.top - top > Math.max(0, this.#stood.height - height) + 1;
    if (this.#toGo < END_PX || (!up && this.#toGo < NEAR_PX)) this.#follows = true;
    else if (up && !this.#moving) this.#follows = false;
    this.#stood = { top, height };
    $("newest").hidden = this.#follows;
  }

  /** Pixels to the end. */
  get #toGo() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view;
    return scrollHeight - scrollTop - clientHeight;
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

  /** At once: on a long way the heights of what nobody has seen yet are only guessed. */
  #reveal(bubble) {
    bubble.scrollIntoView({ block: "center", behavior: "instant" });
    this.#follows = this.#toGo < END_PX;
    $("newest").hidden = this.#follows;
  }

  // Search

  #search() {
    this.#found[this.#at]?.bubble.classList.remove("current");
    this.#wanted = $("search").value.trim();
    this.#found = [];
    this.#at = -1;
    CSS.highlights?.set("found", new Highlight());
    if (this.#wanted) for (const bubble of this.#items.children) this.#find(bubble);
    if (this.#found.length) this.#step(1);
    this.#count();
  }

  /** What a bubble has of what is searched is found where it stands; the place in what was found stays. */
  #find(bubble) {
    const text = bubble.querySelector(".words").firstChild;
    const found = places(text?.data ?? "", this.#wanted).map(([begin, end]) => {
      const range = new Range();
      range.setStart(text, begin);
      range.setEnd(text, end);
      CSS.highlights?.get("found").add(range);
      return { bubble };
    });
    let at = this.#found.length;
    while (at > 0 && follows(this.#found[at - 1].bubble, bubble)) at -= 1;
    this.#found.splice(at, 0, ...found);
    if (at <= this.#at) this.#at += found.length;
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
    $("found").textContent = this.#wanted ? t("search.found", { at: this.#at + 1, count: this.#found.length }) : "";
  }

  #clearSearch() {
    $("search").value = "";
    this.#search();
  }
}

/** Whether an element stands behind another one. */
const follows = (element, other) => other.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING;

/** Where words stand in a text, however they are capitalised: [[begin, end]]. */
export function places(text, words) {
  const sought = new RegExp(words.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "giu");
  return [...text.matchAll(sought)].map(({ 0: found, index }) => [index, index + found.length]);
}

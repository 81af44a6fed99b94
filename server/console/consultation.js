// What is known of a consultation: what was said, what is being said, the note so far. Fed with events, asked by views.

export const ROLES = ["doctor", "patient", "unspecified"];
export const OUTCOMES = new Set(["done", "failed"]); // the statuses that change no more
export const NO_NOTE = new Set(["transcript_too_short", "no_speech", "note_language_unsupported"]); // the note says so itself

const SWAPPED = { doctor: "patient", patient: "doctor" };

export class Consultation {
  items = []; // finals, in the order in which they were spoken
  partials = new Map(); // by id, in the order in which they began
  draft = { title: "", keys: [], sections: new Map() };
  outcome = null; // done | failed, once all is told
  #byId = new Map();
  #views = [];

  constructor(encounter) {
    this.encounter = encounter;
  }

  /** A view has some of: onfinal(item, at), onpartials(), onrenamed(items), ondraft(), onnote(note), onerror(event), ondone(). */
  show(view) {
    this.#views.push(view);
  }

  item(id) {
    return this.#byId.get(id);
  }

  /** The role and the id of each speaker that there is. */
  speakers() {
    return [...new Map(this.items.map(({ speaker_id, speaker }) => [speaker_id, speaker])).entries()];
  }

  /** A connection was made anew: what is being said is told again, and what came to nothing meanwhile is not. */
  forgetPartials() {
    this.partials.clear();
    this.#tell("onpartials");
  }

  /** Who the speakers are after a correction, which behind the end no event tells. speakers: as `…/speakers` answers. */
  relabel(speakers, { swap }) {
    for (const [speaker_id, former] of this.speakers()) {
      const now = speakers.find((each) => each.speaker_id === speaker_id);
      const speaker = now?.speaker ?? (swap ? SWAPPED[former] ?? former : former);
      const items = this.items.filter((item) => item.speaker_id === speaker_id).map(({ id }) => id);
      this.hear({ type: "speaker_renamed", speaker_id, speaker, items });
    }
  }

  /** Take in what was told. What is told twice changes nothing. */
  hear(event) {
    switch (event.type) {
      case "partial":
        this.partials.set(event.id, event);
        return this.#tell("onpartials");
      case "withdrawn":
        this.partials.delete(event.id);
        return this.#tell("onpartials");
      case "final":
        return this.#final(event);
      case "speaker_renamed":
        return this.#renamed(event);
      case "note_draft":
        return this.#drafted(event);
      case "note":
        return this.#tell("onnote", event);
      case "warning":
      case "error":
        return this.#tell("onerror", event);
      case "done":
        this.outcome = event.outcome;
        this.partials.clear();
        this.#tell("onpartials");
        return this.#tell("ondone");
    }
  }

  #final(event) {
    const known = this.partials.delete(event.id);
    if (this.#byId.has(event.id)) return known && this.#tell("onpartials");
    const item = { speaker_id: "", ...event };
    let at = this.items.length;
    while (at > 0 && this.items[at - 1].start_ms > item.start_ms) at -= 1;
    this.items.splice(at, 0, item);
    this.#byId.set(item.id, item);
    this.#tell("onfinal", item, at);
    if (known) this.#tell("onpartials");
  }

  #renamed({ speaker_id, speaker, items }) {
    const renamed = items.map((id) => this.#byId.get(id)).filter(Boolean);
    for (const item of renamed) Object.assign(item, { speaker_id, speaker });
    this.#tell("onrenamed", renamed);
  }

  #drafted({ title, keys, sections }) {
    const { sections: known } = this.draft;
    for (const section of sections) known.set(section.key, section);
    for (const key of known.keys()) if (!keys.includes(key)) known.delete(key);
    Object.assign(this.draft, { title, keys });
    this.#tell("ondraft");
  }

  #tell(what, ...about) {
    for (const view of this.#views) view[what]?.(...about);
  }
}

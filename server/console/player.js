// Plays what was said, as long as it is kept. The token goes in a header: audio is fetched, and played from memory.

const BEFORE_MS = 150; // so that no first syllable is cut off
const AFTER_MS = 250;
const TOGETHER_MS = 2000; // items that are no further apart are played in one go

export class Player {
  onplaying = () => {}; // gets the item that is heard, null behind the last
  onproblem = () => {};
  #audio = new Audio();
  #turn = 0; // counts what was asked for: only the newest is played
  #release = () => {}; // of what is played now

  constructor(api) {
    this.api = api;
  }

  /** Play these items of an encounter, one behind the other. */
  async play(encounter, items) {
    this.stop();
    const turn = this.#turn;
    try {
      for (const span of spans(items)) {
        const query = new URLSearchParams({ from_ms: Math.max(0, span.from - BEFORE_MS), to_ms: span.to + AFTER_MS });
        const answer = await this.api.ask(`api/encounters/${encounter}/audio?${query}`);
        const sound = await answer.blob();
        if (turn !== this.#turn) return;
        this.onplaying(span.items[0]);
        await this.#hear(sound);
        if (turn !== this.#turn) return;
      }
      this.onplaying(null);
    } catch (problem) {
      if (turn !== this.#turn) return;
      this.onplaying(null);
      this.onproblem(problem);
    }
  }

  stop() {
    this.#turn += 1;
    this.#audio.pause();
    this.#release();
    this.onplaying(null);
  }

  /** Resolves behind the end, or when it is stopped. Raises DOMException where the browser cannot play it. */
  #hear(sound) {
    const url = URL.createObjectURL(sound);
    return new Promise((resolve, reject) => {
      this.#release = () => {
        URL.revokeObjectURL(url);
        this.#audio.onended = this.#audio.onerror = null;
        this.#release = () => {};
        resolve();
      };
      const fail = (error) => (reject(error), this.#release());
      const unplayable = () => fail(new DOMException("not playable", "NotPlayable"));
      this.#audio.onended = () => this.#release();
      this.#audio.onerror = unplayable;
      this.#audio.src = url;
      this.#audio.play().catch(({ name }) => {
        if (name === "NotAllowedError") fail(new DOMException("nobody has pressed anything yet", "SoundRefused"));
        else if (name !== "AbortError") unplayable(); // else it was stopped
      });
    });
  }
}

function spans(items) {
  const spans = [];
  for (const item of [...items].sort((one, other) => one.start_ms - other.start_ms)) {
    const last = spans.at(-1);
    if (last && item.start_ms - last.to < TOGETHER_MS) {
      last.to = Math.max(last.to, item.end_ms);
      last.items.push(item);
    } else {
      spans.push({ from: item.start_ms, to: item.end_ms, items: [item] });
    }
  }
  return spans;
}

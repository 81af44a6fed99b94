// How long to wait before a connection is made again: longer each time, not all clients at once, and no longer than until
// the browser says that the network is back.

const FIRST_MS = 100;
const LONGEST_MS = 5000;

export class Pauses {
  #pause = FIRST_MS;

  /** Milliseconds. */
  next() {
    const pause = this.#pause * (0.5 + Math.random() / 2);
    this.#pause = Math.min(2 * this.#pause, LONGEST_MS);
    return pause;
  }

  reset() {
    this.#pause = FIRST_MS;
  }
}

/** Until the time is over, the network is back, or the signal says so. */
export function sleep(ms, signal) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      removeEventListener("online", wake);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    addEventListener("online", wake);
    signal?.addEventListener("abort", wake);
  });
}

// What one source says, on its way over a socket: chunks of its recorder, or PCM. They are kept until there is a socket, and
// by that until they are on the server's disk.

import { LiveSocket } from "./socket.js";

export class Line {
  stands = false;
  resume = ""; // the token that goes on with the stream behind a reload; empty: it is joined again
  recorder = null;
  onstate = () => {}; // whether the connection stands
  onresumable = () => {}; // `resume` is another
  onwarning = () => {}; // gets a `Problem` with which the stream goes on
  onfailed = () => {}; // gets the `Problem` with which it ended
  #socket = null;
  #waiting = []; // until there is a socket
  #head = null; // the first chunk of the recorder's file: without it nobody can read the others

  /** Go on with this chunk. */
  push(chunk) {
    if (this.recorder?.beginsFile) this.#head = chunk;
    if (this.#socket) this.#socket.push(chunk);
    else this.#waiting.push(chunk);
  }

  /** What the server does not have, as a recording of its own. */
  get waiting() {
    const chunks = [...(this.#socket?.chunks ?? []), ...this.#waiting];
    return this.#head && chunks.length && !chunks.includes(this.#head) ? [this.#head, ...chunks] : chunks;
  }

  /** Open a socket; resolves with its first `session`, raises `Problem` where it gets none. `onsession` is called with
   *  that before anything is sent. */
  plug(api, hello, onsession = () => {}) {
    const socket = (this.#socket = new LiveSocket(api, hello));
    for (const chunk of this.#waiting.splice(0)) socket.push(chunk);
    let begun = false;
    return new Promise((resolve, reject) => {
      socket.onsession = (session) => {
        if (!begun) onsession(session);
        begun = true;
        this.resume = session.resume_token;
        this.onresumable();
        resolve(session);
      };
      socket.onstate = (stands) => this.onstate((this.stands = stands));
      socket.onwarning = (problem) => this.onwarning(problem);
      socket.done.catch((problem) => {
        reject(problem);
        if (begun) this.onfailed(problem);
      });
    });
  }

  /** Take what waits out of a socket that is of no use any more; `push` keeps the rest until there is another one. */
  unplug() {
    this.#waiting = this.waiting;
    this.#socket?.close();
    this.#socket = null;
    this.resume = "";
    this.stands = false;
  }

  /** No more comes; resolves when the server has all of it. Raises `Problem`. */
  async end() {
    await this.#socket?.end();
  }

  close() {
    this.#socket?.close();
  }
}

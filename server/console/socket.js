// One stream of audio into /api/live. Chunks are kept until the server says that they are on its disk; over a new
// connection the stream goes on with those it still wants. Events are read elsewhere: see events.js.

import { Problem } from "./api.js";
import { Pauses } from "./pauses.js";

const DEAF_MS = 5000; // unanswered for so long, a connection is dead although nobody closed it
const MOST_KEPT = 32 * 2 ** 20; // bytes that nobody took: an hour of Opus, a quarter of one of PCM
const HOPELESS = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]); // close codes that another try would meet again
const PASSING = new Set(["token_expired", "session_lost"]); // of the connection, not of the stream

export class LiveSocket {
  onsession = () => {}; // gets each `session` event, before anything is sent
  onstate = () => {}; // whether the connection stands
  onwarning = () => {}; // gets errors with which the stream goes on
  #kept = []; // chunks not known to be durable
  #first = null; // number of the first of them; the server says it
  #next = 0; // number of the chunk that this connection sends next
  #bytes = 0; // of the kept chunks
  #socket = null;
  #token = null; // by which it was opened
  #inSession = false;
  #connections = 0;
  #taken = false; // this connection's server took something
  #stands = null;
  #finals = 0; // told over this socket: a new connection need not repeat them
  #pauses = new Pauses();
  #deaf = null; // timer
  #again = null; // timer
  #ending = false;
  #endSent = false;
  #error = null; // the last that was told
  #closed = false;
  #settled; // {resolve, reject} of `done`

  /** hello: what the stream is opened with: a new encounter's options, or `encounter_id`, or `resume_token`. */
  constructor(api, hello) {
    Object.assign(this, { api, hello });
    this.done = new Promise((resolve, reject) => (this.#settled = { resolve, reject }));
    this.done.catch(() => {}); // whoever awaits it hears of it; nobody has to
    this.#connect();
  }

  /** Those that the server does not have. */
  get chunks() {
    return this.#kept;
  }

  push(chunk) {
    if (this.#closed) return;
    this.#kept.push(chunk);
    this.#bytes += chunk.size ?? chunk.byteLength;
    if (this.#bytes > MOST_KEPT) return this.#fail(new Problem(0, "away_too_long"));
    this.#send();
  }

  /** No more audio; resolves when the server has all of it. Raises `Problem`. */
  end() {
    this.#ending = true;
    this.#send();
    return this.done;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#again);
    this.#disconnect();
  }

  async #connect() {
    try {
      this.#token = await this.api.token();
    } catch {
      return this.#lost();
    }
    if (this.#closed) return;
    const url = this.api.url("api/live");
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, ["auscult-live", `jwt-${this.#token}`]);
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", chunk_numbers: true, after: this.#finals, ...this.hello }));
    socket.onmessage = ({ data }) => this.#heard(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lost(code);
    this.#socket = socket;
    this.#error = null;
    this.#taken = false;
    this.#listen();
  }

  #heard(event) {
    if (event.type === "session") this.#begin(event);
    else if (event.type === "ack") this.#forget(event.chunks, true);
    else if (event.type === "final") this.#finals += 1;
    else if (event.type === "done") return this.#over();
    else if (event.type === "error") this.#troubled(new Problem(0, event.code, event.message));
    if (this.#socket) this.#listen();
    this.#send();
  }

  #begin(event) {
    this.#pauses.reset();
    this.#connections += 1;
    this.#first ??= event.chunks;
    this.#forget(event.chunks);
    this.#next = Math.max(event.chunks, this.#first);
    this.#endSent = false;
    this.onsession(event);
    if (event.resume_token) this.hello = { resume_token: event.resume_token }; // the token before is spent
    this.#inSession = true;
    this.#tell(true);
  }

  #troubled(problem) {
    this.#error = problem;
    if (this.#inSession && !PASSING.has(problem.code)) this.onwarning(problem);
  }

  /** Chunks before this number are durable. */
  #forget(number, taken = false) {
    for (const chunk of this.#kept.splice(0, number - this.#first)) this.#bytes -= chunk.size ?? chunk.byteLength;
    this.#first = Math.max(this.#first, number);
    this.#taken ||= taken;
    if (this.#endSent && !this.#kept.length) this.#settled.resolve(); // what follows, nobody has to wait for
  }

  #send() {
    if (!this.#inSession || this.#socket.readyState !== WebSocket.OPEN) return; // closing: the next connection sends it
    for (; this.#next < this.#first + this.#kept.length; this.#next++) {
      this.#socket.send(numbered(this.#next, this.#kept[this.#next - this.#first]));
      this.#deaf ??= setTimeout(() => this.#lost(), DEAF_MS);
    }
    if (!this.#ending || this.#endSent) return;
    this.#socket.send('{"type": "end"}');
    this.#endSent = true;
    if (!this.#kept.length) this.#settled.resolve();
  }

  /** The server is there; where it owes an answer, wait for the next. */
  #listen() {
    clearTimeout(this.#deaf);
    const owes = !this.#inSession || this.#next > this.#first;
    this.#deaf = owes ? setTimeout(() => this.#lost(), DEAF_MS) : null;
  }

  /** The encounter is over. If we did not say so, it was ended while we were away, or elsewhere. */
  #over() {
    const away = this.#connections > 1 && !this.#taken;
    if (this.#ending && !this.#kept.length) this.#settled.resolve();
    else this.#settled.reject(away ? new Problem(0, "ended_away") : new Problem(0, "ended_elsewhere"));
    this.close();
  }

  #lost(code = 1006) {
    this.#disconnect();
    this.#tell(false);
    if (this.#error?.code === "token_expired") this.api.doubt(this.#token);
    else if (HOPELESS.has(code)) return this.#fail(this.#error ?? new Problem(0, "closed", String(code)));
    else if (this.#error && !PASSING.has(this.#error.code)) this.onwarning(this.#error);
    this.#again = setTimeout(() => this.#connect(), this.#pauses.next());
  }

  #tell(stands) {
    if (stands !== this.#stands) this.onstate((this.#stands = stands));
  }

  #disconnect() {
    clearTimeout(this.#deaf);
    this.#deaf = null;
    this.#inSession = false;
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null; // whatever a dead connection still says comes too late
    if (this.#closed && socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close(); // else browsers complain
    else socket.close();
    this.#socket = null;
  }

  #fail(problem) {
    this.close();
    this.#settled.reject(problem);
  }
}

function numbered(number, chunk) {
  const head = new DataView(new ArrayBuffer(4));
  head.setUint32(0, number);
  return new Blob([head, chunk]);
}

// A microphone into Auscult's /api/live by MediaRecorder. Chunks are kept until the server says that they are durable;
// after a broken connection the session goes on with those it still wants. No build, no dependency: copy it.

const TYPES = ["audio/webm;codecs=opus", "audio/mp4;codecs=opus", "audio/mp4"]; // the first that the browser can write
const CHUNK_MS = 250;
const FIRST_PAUSE_MS = 100; // before connecting again; doubled each time, up to:
const LONGEST_PAUSE_MS = 5000;
const DEAF_MS = 5000; // unanswered for so long, a connection is dead although nobody closed it
const MOST_KEPT = 32 * 2 ** 20; // bytes of chunks that nobody took: about an hour
const HOPELESS = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010]); // close codes that another try would meet again

export class LiveRecorder {
  #kept = []; // chunks not known to be durable
  #first = 0; // number of the first of them
  #next = 0; // number of the chunk that this connection sends next
  #bytes = 0; // of the kept chunks
  #socket = null;
  #inSession = false;
  #resumeToken = null;
  #finals = 0; // told so far: a new connection goes on behind them
  #pause = FIRST_PAUSE_MS;
  #deaf = null; // timer
  #again = null; // timer
  #ending = false;
  #endSent = false;
  #lastError = null;
  #recorder = null;
  #settled; // {resolve, reject} of `done`

  /** server: "https://host"; token: a key or short-lived token; hello: language, template, role, …; onevent: each event. */
  constructor({ server, token, hello = {}, onevent = () => {} }) {
    Object.assign(this, { server, token, hello, onevent, encounterId: null });
    this.done = new Promise((resolve, reject) => (this.#settled = { resolve, reject }));
    this.done.catch(() => {}); // whoever awaits it hears of it; nobody has to
  }

  /** Ask for the microphone, record, connect. */
  async start() {
    this.microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    this.#record();
    this.#connect();
  }

  /** Go on with a new recorder, and another microphone where one is given; the session stays. */
  async restart(microphone = this.microphone) {
    await stopped(this.#recorder);
    if (microphone !== this.microphone) release(this.microphone);
    this.microphone = microphone;
    this.#record();
  }

  /** Stop recording; resolves with the outcome when everything is transcribed. */
  async stop() {
    await stopped(this.#recorder); // its last chunk comes before its stop event
    release(this.microphone);
    this.#ending = true;
    this.#send();
    return this.done;
  }

  #record() {
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.#recorder = new MediaRecorder(this.microphone, { mimeType, audioBitsPerSecond: 64_000 });
    this.#recorder.ondataavailable = ({ data }) => data.size && this.#keep(data);
    this.#recorder.start(CHUNK_MS);
  }

  #keep(chunk) {
    this.#kept.push(chunk);
    this.#bytes += chunk.size;
    if (this.#bytes > MOST_KEPT) return this.#fail(new Error("The server was away for too long."));
    this.#send();
  }

  #connect() {
    const socket = new WebSocket(`${this.server.replace(/^http/, "ws")}/api/live`, ["auscult-live", `jwt-${this.token}`]);
    const greeting = { type: "hello", chunk_numbers: true, ...this.hello };
    if (this.#resumeToken) Object.assign(greeting, { resume_token: this.#resumeToken, after: this.#finals });
    socket.onopen = () => socket.send(JSON.stringify(greeting));
    socket.onmessage = ({ data }) => this.#heard(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lost(code);
    this.#socket = socket;
    this.#listen();
  }

  #heard(event) {
    if (event.type === "session") {
      this.encounterId = event.encounter_id;
      this.#resumeToken = event.resume_token; // the one before is spent
      this.#pause = FIRST_PAUSE_MS;
      this.#forget(event.chunks);
      this.#next = Math.max(event.chunks, this.#first);
      this.#inSession = true;
      this.#endSent = false;
    } else if (event.type === "ack") {
      this.#forget(event.chunks);
    } else if (event.type === "final") {
      this.#finals += 1;
    } else if (event.type === "error") {
      this.#lastError = new Error(`${event.code}: ${event.message}`);
    } else if (event.type === "done") {
      this.#close();
      this.#settled.resolve(event.outcome);
    }
    this.onevent(event);
    if (this.#socket) this.#listen();
    this.#send();
  }

  /** Chunks before this number are durable. */
  #forget(number) {
    for (const chunk of this.#kept.splice(0, number - this.#first)) this.#bytes -= chunk.size;
    this.#first = Math.max(this.#first, number);
  }

  #send() {
    if (!this.#inSession) return;
    for (; this.#next < this.#first + this.#kept.length; this.#next++) {
      this.#socket.send(numbered(this.#next, this.#kept[this.#next - this.#first]));
      this.#deaf ??= setTimeout(() => this.#lost(), DEAF_MS);
    }
    if (this.#ending && !this.#endSent) {
      this.#socket.send(JSON.stringify({ type: "end" }));
      this.#endSent = true;
    }
  }

  /** The server is there; where it owes an answer, wait for the next. */
  #listen() {
    clearTimeout(this.#deaf);
    const owes = !this.#inSession || this.#next > this.#first;
    this.#deaf = owes ? setTimeout(() => this.#lost(), DEAF_MS) : null;
  }

  #lost(code = 1006) {
    this.#close();
    if (HOPELESS.has(code)) return this.#fail(this.#lastError ?? new Error(`closed with ${code}`));
    this.onevent({ type: "offline" });
    this.#again = setTimeout(() => this.#connect(), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
  }

  #close() {
    clearTimeout(this.#deaf);
    clearTimeout(this.#again);
    this.#deaf = null;
    this.#inSession = false;
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null; // whatever a dead connection still says comes too late
    socket.close();
    this.#socket = null;
  }

  #fail(error) {
    this.#close();
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    release(this.microphone);
    this.#settled.reject(error);
  }
}

function numbered(number, chunk) {
  const head = new DataView(new ArrayBuffer(4));
  head.setUint32(0, number);
  return new Blob([head, chunk]);
}

function stopped(recorder) {
  return new Promise((resolve) => {
    if (recorder.state === "inactive") return resolve();
    recorder.addEventListener("stop", resolve, { once: true });
    recorder.stop();
  });
}

function release(microphone) {
  for (const track of microphone.getTracks()) track.stop();
}

// A consultation while it is recorded: its sources, the way on which their sound goes to the server, and how that goes on
// when the way breaks or the page is loaded again. Three ways:
//   webrtc    a WHIP peer. Where it cannot connect, `recorder` takes over with all that was heard; where it breaks later,
//             `socket` does, which begins with what the server lacks.
//   recorder  MediaRecorder's chunks over a socket for each source
//   socket    PCM over a socket for each source, into the very streams that the peer fed

import { Problem } from "./api.js";
import { openMicrophone, openTab, Source } from "./capture.js";
import { Pauses, sleep } from "./pauses.js";
import { canRecord, Recorder } from "./recorder.js";
import { LiveSocket } from "./socket.js";
import { WhipPeer } from "./whip.js";

const KEPT = "auscult.recording";
const BLOCKED = "auscult.webrtc_blocked"; // in this browser, on this network: the next recording does not try it
const DAMAGED = new Set(["undecodable_audio", "unsupported_audio", "invalid_audio"]); // what a recorder wrote
const CONNECT_MS = 5000; // for WebRTC; meanwhile a recorder runs beside it
const PRESSES = ["pointerdown", "keydown"];
const PCM = { encoding: "pcm_s16le", sample_rate: 16_000, channels: 1 };
const PCM_BYTES_PER_MS = 32;

export class Recording {
  onchange = () => {}; // state, way or connection are others
  onproblem = () => {}; // gets what somebody should know of; the recording goes on
  encounter = null;
  state = "connecting"; // connecting | recording | paused | ending | over
  way = null; // webrtc | recorder | socket
  connected = false;
  began = Date.now(); // epoch in ms: where the transcript's time is 0
  #api;
  #sources;
  #wanted; // options, consent, way
  #context = null;
  #peer = null;
  #lines = []; // {socket, recorder} of each source
  #opened; // resolves with the encounter
  #pauses = [0, null]; // ms altogether; since when

  /** wanted: `options` of the encounter, `consent`, `way` ("auto" or one of them); of one that goes on also `kept`. */
  constructor(api, sources, wanted) {
    this.#api = api;
    this.#sources = sources;
    this.#wanted = wanted;
    for (const source of sources) source.onended = () => this.#change();
    const { promise, resolve } = later();
    this.opened = promise;
    this.#opened = resolve;
  }

  get sources() {
    return this.#sources;
  }

  /** The name of the note's template. */
  get template() {
    return this.#wanted.options.template;
  }

  /** The tag of the language that is spoken. */
  get language() {
    return this.#wanted.options.language;
  }

  get roles() {
    return this.#sources.map((source) => source.role);
  }

  /** Milliseconds that were recorded, without pauses. */
  get elapsedMs() {
    const [paused, since] = this.#pauses;
    return Date.now() - this.began - paused - (since ? Date.now() - since : 0);
  }

  /** Begin, or go on with what was kept over a reload. Raises `Problem`, DOMException. */
  async start() {
    this.#context = new AudioContext();
    this.#wake();
    for (const press of PRESSES) addEventListener(press, this.#wake); // before one, behind a reload, some do not let it run
    await Promise.all(this.#sources.map((source) => source.listen(this.#context)));
    const { kept } = this.#wanted;
    if (kept?.paused) this.pause(); // and it stays so until somebody says otherwise
    this.began = kept?.began ?? Date.now();
    this.encounter = kept?.encounter ?? null;
    const way = kept?.way ?? this.#wanted.way;
    if (way === "socket") return this.#overSockets();
    if (way === "webrtc" || (way === "auto" && !localStorage.getItem(BLOCKED) && "RTCPeerConnection" in window)) {
      return this.#overWebRtc(way === "auto" && canRecord());
    }
    return this.#overRecorders(this.#recorders(), kept?.resume);
  }

  pause() {
    this.#let(false);
    this.#pauses[1] = Date.now();
    this.#change("paused");
    this.#save();
  }

  resume() {
    this.#let(true);
    this.#pauses = [this.#pauses[0] + Date.now() - this.#pauses[1], null];
    this.#change("recording");
    this.#save();
  }

  /** Another microphone takes the place of one that is gone. */
  async replace(source, stream) {
    const former = source.track;
    source.replace(stream);
    await this.#peer?.replace(former, source.track);
    await this.#lines[this.#sources.indexOf(source)]?.recorder?.restart(source.stream);
    this.#save();
    this.#change();
  }

  /** No more is recorded; resolves when the server has all that was. Raises `Problem`. */
  async stop() {
    this.#change("ending");
    for (const { recorder } of this.#lines) await recorder?.stop();
    for (const source of this.#sources) source.close();
    await this.#end();
    this.#over();
  }

  /** Leave it: the encounter is erased, or ended by somebody else. */
  abandon() {
    for (const source of this.#sources) source.close();
    for (const { socket } of this.#lines) socket.close();
    this.#peer?.close();
    this.#over();
  }

  async #end() {
    if (this.way !== "webrtc") return Promise.all(this.#lines.map(({ socket }) => socket.end()));
    for (const pauses = new Pauses(); ; await sleep(pauses.next())) {
      try {
        return await this.#peer.end();
      } catch (problem) {
        if (problem.status && problem.status < 500) throw problem;
      }
    }
  }

  #over() {
    sessionStorage.removeItem(KEPT);
    for (const press of PRESSES) removeEventListener(press, this.#wake);
    this.#context?.close().catch(() => {});
    this.connected = false;
    this.#change("over");
  }

  #wake = () => {
    this.#context.resume().catch(() => {});
  };

  // WebRTC

  async #overWebRtc(spare) {
    const recorders = spare && !this.encounter ? this.#recorders() : [];
    const tracks = this.#sources.map((source) => source.track);
    this.#peer = new WhipPeer(this.#api, tracks, this.#query(), this.encounter);
    const again = this.encounter !== null;
    try {
      if (!again) this.#let(false); // nothing is sent before it is stored who agreed to that
      await this.#peer.connect(CONNECT_MS, (encounter) => again || this.#agree(encounter));
    } catch (problem) {
      this.#peer.close();
      if (again) return this.#overSockets(); // with what is heard from now on
      if (problem.status >= 400 && problem.status < 500) throw this.#gaveUp(recorders, problem);
      if (!recorders.length) throw problem;
      return this.#insteadOfWebRtc(problem, recorders);
    }
    for (const { recorder } of recorders) recorder.stop();
    this.way = "webrtc";
    if (!again) this.began = this.#peer.began;
    this.#peer.onlost = () => this.#overSockets();
    const before = this.#peer.began - this.began; // on the consultation's time line
    this.#peer.onsent = (ms) => this.#sources.forEach(({ ring }) => ring.sent(before + ms));
    this.#peer.watch();
    this.#stand(true);
    this.#recorded(this.#peer.encounter);
  }

  /** Who agreed is stored; then sound is let through. Raises `Problem`. */
  async #agree(encounter) {
    const { consent } = this.#wanted;
    if (consent) await this.#api.ask(`api/encounters/${encounter}/consent`, { method: "PUT", json: consent });
    this.#let(true);
  }

  /** The encounter that WebRTC opened has no sound: what the recorders heard since then goes into another one. */
  async #insteadOfWebRtc(problem, recorders) {
    this.#let(true);
    if (problem.code === "webrtc_blocked") {
      localStorage.setItem(BLOCKED, "1");
      const erased = this.#api.ask(`api/encounters/${this.#peer.encounter}`, { method: "DELETE" });
      erased.catch(() => {}); // an empty one, that ends by itself
    }
    this.#peer = null;
    return this.#overRecorders(recorders);
  }

  #gaveUp(recorders, problem) {
    for (const { recorder } of recorders) recorder.stop();
    return problem;
  }

  #query() {
    const { expected_speakers, ...options } = this.#wanted.options;
    const roles = this.roles.length > 1 ? { roles: this.roles.join() } : { role: this.roles[0] };
    return { ...options, ...roles, ...(expected_speakers && { expected_speakers }) };
  }

  // MediaRecorder

  /** Recorders that run, and keep their chunks until there is a socket. */
  #recorders() {
    return this.#sources.map((source) => {
      const line = { socket: null, early: [] };
      line.recorder = new Recorder(source.stream, (chunk) => (line.socket ? line.socket.push(chunk) : line.early.push(chunk)));
      return line;
    });
  }

  async #overRecorders(lines, resume = []) {
    this.#lines = lines;
    this.way = "recorder";
    const hello = { ...this.#wanted.options, consent: this.#wanted.consent ?? null };
    const first = resume[0] ? { resume_token: resume[0] } : { ...hello, role: this.roles[0] };
    this.#plug(0, first, (session) => {
      if (session.heard_ms) this.began = Date.now() - session.heard_ms; // it goes on where the server is
      this.#recorded(session.encounter_id);
    });
    await this.opened;
    for (let at = 1; at < lines.length; at++) this.#plug(at, { encounter_id: this.encounter, role: this.roles[at] });
  }

  // PCM

  /** The peer is gone: its streams go on with what the server lacks of them. Of a page that was loaded again, and whose
   *  peer never stood, that is all that it heard. */
  async #overSockets() {
    this.way = "socket";
    this.#stand(false);
    this.#peer?.close();
    this.#lines = this.#sources.map(() => ({ socket: null, early: [] }));
    this.#sources.forEach(({ role, ring }, at) => {
      ring.hold();
      this.#plug(at, { encounter_id: this.encounter, role, ...PCM }, ({ heard_ms }) => {
        const line = this.#lines[at];
        line.early = ring.since(heard_ms);
        const bytes = line.early.reduce((sum, frame) => sum + frame.byteLength, 0);
        this.began = Date.now() - heard_ms - bytes / PCM_BYTES_PER_MS;
        ring.onframe = (frame) => line.socket.push(frame);
        this.#recorded(this.encounter);
      });
    });
  }

  /** A socket for a source; `onfirst` gets its first session. */
  #plug(at, hello, onfirst = () => {}) {
    const line = this.#lines[at];
    const socket = (line.socket = new LiveSocket(this.#api, hello));
    let first = true;
    socket.onsession = (session) => {
      if (first) onfirst(session);
      first = false;
      line.resume = session.resume_token;
      for (const chunk of line.early.splice(0)) socket.push(chunk);
      this.#save();
    };
    socket.onstate = (stands) => this.#stand(stands);
    socket.onwarning = (problem) => this.#warned(line, problem);
    socket.done.catch((problem) => this.#failed(problem));
    for (const chunk of this.way === "recorder" ? line.early.splice(0) : []) socket.push(chunk);
  }

  /** A recording that the server cannot read any more begins a new file: the stream goes on with that. */
  async #warned(line, problem) {
    if (DAMAGED.has(problem.code)) {
      await line.recorder?.restart(this.#sources[this.#lines.indexOf(line)].stream);
    } else {
      this.onproblem(problem);
    }
  }

  #failed(problem) {
    if (this.state === "over") return;
    this.abandon();
    this.onproblem(problem);
  }

  // What is known of it

  #recorded(encounter) {
    this.encounter = encounter;
    this.#save();
    this.#opened(encounter);
    if (this.state === "connecting") this.#change("recording");
  }

  #let(through) {
    for (const source of this.#sources) source.enabled = through;
  }

  #stand(connected) {
    if (connected && !this.connected) dispatchEvent(new Event("reconnected")); // for whoever follows what is said
    this.connected = connected;
    this.#change();
  }

  #change(state = this.state) {
    this.state = state;
    this.onchange(this);
  }

  #save() {
    if (!this.encounter || this.state === "over") return;
    const sources = this.#sources.map(({ kind, role, deviceId }) => ({ kind, role, deviceId }));
    const resume = this.#lines.map((line) => line.resume ?? null);
    const { options, consent } = this.#wanted;
    const { encounter, way, began } = this;
    const paused = this.state === "paused";
    sessionStorage.setItem(KEPT, JSON.stringify({ encounter, way, began, sources, resume, options, consent, paused }));
  }
}

/** What a page that was loaded again should go on with; null: nothing. */
export function keptRecording() {
  return JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
}

export function forgetKept() {
  sessionStorage.removeItem(KEPT);
}

/** Go on with a recording that a reload interrupted. A tab is shared only when a person has just pressed something: else
 *  it raises, and whoever asked offers something to press. Raises DOMException where a source cannot be opened again. */
export async function reopen(api, kept) {
  const sources = [];
  for (const { kind, role, deviceId } of kept.sources) {
    const known = () => openMicrophone(deviceId).catch(() => openMicrophone());
    sources.push(new Source(kind, role, await (kind === "tab" ? openTab() : known())));
  }
  return new Recording(api, sources, { options: kept.options, consent: kept.consent, kept });
}

function later() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}

// A consultation while it is recorded: its sources, the way on which their sound goes to the server, and how that goes on
// when the way breaks or the page is loaded again. Three ways:
//   webrtc    a WHIP peer. Where it cannot connect, `recorder` takes over with all that was heard; where it breaks later,
//             `socket` does, which begins with what the server lacks.
//   recorder  MediaRecorder's chunks over a socket for each source
//   socket    PCM over a socket for each source, into the very streams that the peer fed
// A server that ended the consultation because nothing came for too long is sent the rest as another one.

import { Problem } from "./api.js";
import { forget, keep } from "./kept.js";
import { Line } from "./line.js";
import { canRecord, CHUNK_MS, Recorder } from "./recorder.js";
import { WhipPeer } from "./whip.js";

const BLOCKED = "auscult.webrtc_blocked"; // when WebRTC found no way out of here
const BLOCKED_MS = 12 * 3600 * 1000; // for so long it is not tried again
const DAMAGED = new Set(["undecodable_audio", "unsupported_audio", "invalid_audio"]); // what a recorder wrote
const ENDED = new Set(["ended_away", "already_final"]); // while we were away
const CONNECT_MS = 5000; // for WebRTC; meanwhile a recorder runs beside it
const OVERLAP_MS = 4000; // of what the peer may have sent, and nobody answered
const PRESSES = ["pointerdown", "keydown"];
const PCM = { encoding: "pcm_s16le", sample_rate: 16_000, channels: 1 };
const PCM_BYTES_PER_MS = 32;

/** Nobody wants it any more. */
export class Abandoned extends Error {}

export class Recording {
  onchange = () => {}; // state, way or connection are others
  onproblem = () => {}; // gets what somebody should know of
  onmoved = () => {}; // gets the encounter in which it goes on, because the one before was over
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
  #lines = []; // of each source, where it goes over sockets
  #sentMs = 0; // of what the peer sent, as far as the server answered
  #away = true; // if the encounter is over, that is because we were away
  #paused = { ms: 0, since: null };
  #abandoned; // rejects `start`
  #untilAbandoned = new Promise((_, reject) => (this.#abandoned = reject));

  /** wanted: `options` of the encounter, `consent`, `way` ("auto" or one of them); of one that goes on also `kept`. */
  constructor(api, sources, wanted) {
    this.#api = api;
    this.#sources = sources;
    this.#wanted = wanted;
    sources.forEach((source, at) => (source.onended = () => this.#gone(at)));
    this.#untilAbandoned.catch(() => {}); // whoever begins hears of it
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
    const { ms, since } = this.#paused;
    return Math.max(0, Date.now() - this.began - ms - (since ? Date.now() - since : 0));
  }

  /** Begin, or go on with what was kept over a reload; resolves when the encounter is there. Raises `Problem`, `Abandoned`
   *  (or for what it was abandoned), DOMException. */
  async start() {
    if (this.state === "over") return this.#untilAbandoned; // before it began
    this.#context = new AudioContext();
    this.#wake();
    for (const press of PRESSES) addEventListener(press, this.#wake); // before one, behind a reload, some do not let it run
    for (const source of this.#sources) source.listen(this.#context); // beside it: what is said meanwhile is recorded already
    await Promise.race([this.#begin(), this.#untilAbandoned]);
    if (this.state === "connecting") this.#change(this.#paused.since ? "paused" : "recording");
  }

  pause() {
    this.#let(false);
    this.#paused.since = Date.now();
    this.#change("paused");
    this.#save();
  }

  resume() {
    this.#let(true);
    const { ms, since } = this.#paused;
    this.#paused = { ms: ms + Date.now() - since, since: null };
    this.#change("recording");
    this.#save();
  }

  /** Another microphone, or the tab once more, takes the place of a source that is gone. */
  async replace(source, stream) {
    const at = this.#sources.indexOf(source);
    source.replace(stream);
    await this.#feed(at, stream);
    this.#save();
    this.#change();
  }

  /** No more is recorded; resolves when the server has all that was. Raises `Problem`. */
  async stop() {
    this.#change("ending");
    this.#save();
    try {
      for (const { recorder } of this.#lines) await recorder?.stop();
      for (const source of this.#sources) source.close();
      await this.#end();
    } finally {
      this.#over();
    }
  }

  /** Leave it: nobody wants it, or the encounter is erased, or ended by somebody else. */
  abandon(why = new Abandoned()) {
    for (const source of this.#sources) source.close();
    for (const line of this.#lines) line.close();
    this.#peer?.close();
    this.#abandoned(why);
    this.#over();
  }

  #begin() {
    const { kept, way } = this.#wanted;
    if (!kept) {
      const blocked = Date.now() - Number(localStorage.getItem(BLOCKED)) < BLOCKED_MS;
      if (way === "webrtc" || (way === "auto" && !blocked && "RTCPeerConnection" in window)) return this.#overWebRtc(way === "auto" && canRecord());
      return this.#overRecorders(this.#recorders());
    }
    [this.began, this.encounter, this.#paused] = [kept.began, kept.encounter, kept.paused];
    if (this.#paused.since) this.#let(false); // and it stays so until somebody says otherwise
    if (kept.way === "recorder") return this.#overRecorders(this.#recorders(), kept.resume);
    return kept.way === "webrtc" ? this.#overWebRtcAgain() : this.#overSockets();
  }

  async #end() {
    if (this.way === "webrtc") {
      try {
        if (await this.#peer.answers()) return await this.#peer.end();
      } catch (problem) {
        if (problem.status >= 400 && problem.status < 500 && problem.code !== "audio_lost") throw problem;
      }
    }
    try {
      if (this.way === "webrtc") await this.#overSockets(); // the network is away: first, what the server lacks
      await this.#endLines();
    } catch (problem) {
      if (!ENDED.has(problem.code)) throw problem;
      await this.#goOn();
      await this.#endLines();
    }
  }

  #endLines() {
    return Promise.all(this.#lines.map((line) => line.end()));
  }

  #over() {
    if (this.state === "over") return;
    forget();
    for (const press of PRESSES) removeEventListener(press, this.#wake);
    this.#context?.close().catch(() => {});
    this.connected = false;
    this.#change("over");
  }

  #wake = () => {
    this.#context.resume().catch(() => {});
  };

  // Sources

  /** It was unplugged, or is not shared any more: silence goes on in its place, so that nobody ends its stream. */
  #gone(at) {
    if (this.state === "ending" || this.state === "over") return;
    this.#feed(at, this.#context.createMediaStreamDestination().stream);
    this.#change();
  }

  async #feed(at, stream) {
    await this.#peer?.replace(at, stream.getAudioTracks()[0].clone());
    await this.#lines[at]?.recorder?.restart(stream);
  }

  #let(through) {
    for (const source of this.#sources) source.enabled = through;
    if (this.#peer) this.#peer.enabled = through;
  }

  // WebRTC

  /** `spare`: a recorder runs beside it until it stands. */
  async #overWebRtc(spare) {
    const lines = spare ? this.#recorders() : [];
    const peer = this.#makePeer();
    peer.enabled = false; // nothing is sent before it is stored who agreed to that
    try {
      await peer.connect(CONNECT_MS, (encounter) => this.#agree(encounter));
    } catch (problem) {
      this.#peer = null;
      peer.close();
      const refused = problem.status >= 400 && problem.status < 500;
      if (refused || !spare) for (const { recorder } of lines) recorder.stop();
      if (this.state === "over" || problem.code === "webrtc_blocked") this.#discard(peer.encounter);
      if (refused || !spare || this.state === "over") throw problem;
      if (problem.code === "webrtc_blocked") localStorage.setItem(BLOCKED, Date.now());
      return this.#overRecorders(lines);
    }
    for (const { recorder } of lines) recorder.stop();
    this.began = peer.began;
    this.#stood(peer);
  }

  /** Behind a reload; where it finds no way, with what is heard from now on. */
  async #overWebRtcAgain() {
    const peer = this.#makePeer();
    peer.enabled = !this.#paused.since;
    try {
      await peer.connect(CONNECT_MS);
    } catch (problem) {
      this.#peer = null;
      peer.close();
      if (this.state === "over") throw problem;
      return this.#overSockets();
    }
    this.#stood(peer);
  }

  #makePeer() {
    const tracks = this.#sources.map((source) => source.track.clone()); // which are let through later than a recorder's
    return (this.#peer = new WhipPeer(this.#api, tracks, this.#query(), this.encounter));
  }

  #stood(peer) {
    this.way = "webrtc";
    this.encounter = peer.encounter;
    peer.onlost = (hungUp) => this.#lost(hungUp);
    const before = peer.began - this.began; // on the consultation's time line
    peer.onsent = (ms) => {
      this.#sentMs = before + ms;
      for (const { ring } of this.#sources) ring.sent(before + ms);
    };
    peer.watch();
    this.connected = true;
    this.#save();
    this.#change();
  }

  async #lost(hungUp) {
    this.#away = !hungUp;
    try {
      await this.#overSockets();
    } catch (problem) {
      await this.#failed(problem);
    }
    this.#away = true;
  }

  /** Who agreed is stored; then sound is let through. Raises `Problem`. */
  async #agree(encounter) {
    const { consent } = this.#wanted;
    const signal = AbortSignal.timeout(CONNECT_MS);
    if (consent) await this.#api.json(`api/encounters/${encounter}/consent`, { method: "PUT", json: consent, signal });
    this.#peer.enabled = true;
  }

  /** The encounter that WebRTC opened has no sound. */
  #discard(encounter) {
    const erased = encounter && this.#api.ask(`api/encounters/${encounter}`, { method: "DELETE" });
    erased?.catch(() => {}); // an empty one, that ends by itself
  }

  #query() {
    const { expected_speakers, ...options } = this.#wanted.options;
    const roles = this.roles.length > 1 ? { roles: this.roles.join() } : { role: this.roles[0] };
    return { ...options, ...roles, ...(expected_speakers && { expected_speakers }) };
  }

  // MediaRecorder

  /** Lines whose recorders run, and which keep their chunks until there is a socket. */
  #recorders() {
    return this.#sources.map((source) => {
      const line = new Line();
      line.recorder = new Recorder(source.stream, (chunk) => line.push(chunk));
      return line;
    });
  }

  /** resume: of each source, where it goes on. */
  async #overRecorders(lines, resume = []) {
    this.#use("recorder", lines);
    const began = Date.now() - lines[0].waiting.length * CHUNK_MS;
    const first = resume[0] ? { resume_token: resume[0] } : this.#hello(0);
    const session = await this.#plug(0, first, ({ heard_ms }) => this.#place(began - heard_ms));
    await this.#join(session.encounter_id);
  }

  // PCM

  /** The peer is gone: its streams go on with what the server lacks of them. Of a page that was loaded again, and whose
   *  peer never stood, that is all that it heard. */
  async #overSockets() {
    this.#peer?.close();
    this.#peer = null;
    this.#use("socket", this.#sources.map(() => new Line()));
    await Promise.all(this.#sources.map(({ ring, role }, at) => {
      ring.hold();
      const line = this.#lines[at];
      return this.#plug(at, { encounter_id: this.encounter, role, ...PCM }, ({ heard_ms }) => this.#splice(line, ring, heard_ms));
    }));
  }

  /** A line goes on behind so much of its stream: first with what is in the ring, then with what is heard. */
  #splice(line, ring, heardMs) {
    const frames = ring.since(heardMs);
    for (const frame of frames) line.push(frame);
    ring.onframe = (frame) => line.push(frame);
    this.#place(Date.now() - heardMs - bytesOf(frames) / PCM_BYTES_PER_MS);
  }

  /** Time 0 is another moment, because the page was away: of a pause, too, no more was recorded than what was sent. */
  #place(began) {
    if (this.#paused.since) this.#paused.since += began - this.began;
    this.began = began;
  }

  // Sockets

  #use(way, lines) {
    this.way = way;
    this.#lines = lines;
    this.connected = false;
    for (const line of lines) {
      line.onstate = () => this.#stand(lines.every(({ stands }) => stands));
      line.onresumable = () => this.#save(); // the token before is spent
      line.onwarning = (problem) => this.#warned(line, problem);
      line.onfailed = (problem) => this.#failed(problem);
    }
    this.#change();
  }

  /** What a new encounter is opened with. */
  #hello(at) {
    return { ...this.#wanted.options, consent: this.#wanted.consent ?? null, role: this.roles[at], ...(this.way === "socket" && PCM) };
  }

  #plug(at, hello, onsession) {
    return this.#lines[at].plug(this.#api, hello, onsession);
  }

  /** The other sources take part in what the first one opened, or goes on with. */
  async #join(encounter) {
    this.encounter = encounter;
    const format = this.way === "socket" ? PCM : {};
    for (let at = 1; at < this.#lines.length; at++) await this.#plug(at, { encounter_id: encounter, role: this.roles[at], ...format });
    this.#save();
  }

  /** The encounter is over, and there is more: it goes into another one. */
  async #goOn() {
    this.connected = false;
    for (const line of this.#lines) line.unplug();
    if (this.way === "socket") this.#rewind();
    const ms = bytesOf(this.#lines[0].waiting) / PCM_BYTES_PER_MS;
    const session = await this.#plug(0, this.#hello(0), () => {
      if (this.way === "socket") this.began = Date.now() - ms; // a recorder's file has its own times, with a gap in them
    });
    await this.#join(session.encounter_id);
    this.#paused = { ms: 0, since: this.#paused.since && Date.now() };
    this.onmoved(this.encounter);
  }

  /** Lines that never had a session have nothing of the ring yet: a little more than what the peer is known to have sent. */
  #rewind() {
    this.#sources.forEach(({ ring }, at) => {
      const line = this.#lines[at];
      if (!ring.onframe) this.#splice(line, ring, Math.max(0, this.#sentMs - OVERLAP_MS));
    });
  }

  /** A recording that the server cannot read any more begins a new file: the stream goes on with that. */
  async #warned(line, problem) {
    if (ENDED.has(problem.code)) return; // the line fails with it
    if (DAMAGED.has(problem.code)) await line.recorder?.restart(this.#sources[this.#lines.indexOf(line)].stream);
    else this.onproblem(problem);
  }

  /** A stream cannot go on. */
  async #failed(problem) {
    if (this.state === "over" || this.state === "ending") return; // `stop` meets it, too
    if (ENDED.has(problem.code) && !this.#away) problem = new Problem(0, "ended_elsewhere");
    if (ENDED.has(problem.code)) {
      try {
        return await this.#goOn();
      } catch (another) {
        problem = another;
      }
    }
    this.abandon();
    this.onproblem(problem);
  }

  // What is known of it

  #stand(connected) {
    this.connected = connected;
    this.#change();
  }

  #change(state = this.state) {
    this.state = state;
    this.onchange(this);
  }

  #save() {
    if (!this.encounter || this.state === "over") return;
    keep({
      encounter: this.encounter,
      way: this.way,
      began: this.began,
      options: this.#wanted.options,
      consent: this.#wanted.consent,
      sources: this.#sources.map(({ kind, role, deviceId }) => ({ kind, role, deviceId })),
      resume: this.#lines.map((line) => line.resume),
      paused: this.#paused,
      ending: this.state === "ending",
    });
  }
}

/** Tell the server that no more comes of a recording which a reload interrupted while it was being finished. */
export async function endKept(api, { encounter, way, sources, resume }) {
  const lines = sources.map(() => new Line());
  const hello = (at) => (way === "recorder" && at === 0 ? { resume_token: resume[0] } : { encounter_id: encounter, role: sources[at].role, ...(way !== "recorder" && PCM) });
  await Promise.all(lines.map(async (line, at) => {
    await line.plug(api, hello(at));
    await line.end();
  }));
}

const bytesOf = (chunks) => chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);

// Audio by WebRTC: WHIP (RFC 9725) with trickled candidates. Events are read elsewhere: see events.js.

import { Problem } from "./api.js";
import { sleep } from "./pauses.js";

const LOOK_MS = 500; // between two looks at what the server answers
const PACKET_MS = 20; // of Opus, as browsers send it
const PACKET_TRIES = 50;
const DOUBTS = 3; // looks in a row at checks that are unanswered
const DOUBT_MS = 300;
const MAX_GAP_MS = 100; // in what the server gets: behind a longer one a socket brings what was lost
const END_MS = 5000; // for the server to have stored what came
const UNANSWERED = 8; // checks of the way to it (STUN), which follow each other faster while none is answered: about 4 s

export class WhipPeer {
  onlost = () => {}; // the way is broken, or the server hung up (`true`): once
  onsent = () => {}; // gets how many milliseconds of sound were sent so far, while the way stands
  encounter = null;
  began = null; // epoch in ms: when the first packet was sent, where the server's time line of it begins
  #peer = new RTCPeerConnection();
  #resource = null;
  #looking = null; // timer
  #answered = 0; // checks of the way …
  #asked = 0; // … and how many were sent when the last was answered
  #connected = false;
  #over = false;

  /** tracks: its own, which it stops when it is closed; query: language, template, roles, …; encounter: go on with it. */
  constructor(api, tracks, query, encounter) {
    Object.assign(this, { api, tracks, query, encounter });
  }

  /** Whether sound is let through; else silence is sent. */
  set enabled(whether) {
    for (const track of this.tracks) track.enabled = whether;
  }

  /** Offer the tracks; resolves when sound flows. Raises `Problem`, `Problem` with the code `webrtc_blocked`. */
  async connect(withinMs, onopened = async () => {}) {
    const peer = this.#peer;
    for (const track of this.tracks) peer.addTrack(track, new MediaStream([track]));
    const flowing = this.#flowing();
    const candidates = [];
    let trickle = () => {}; // nobody to tell before the server has answered
    peer.onicecandidate = ({ candidate }) => {
      candidates.push(candidate ? `a=${candidate.candidate}` : "a=end-of-candidates");
      trickle();
    };
    await peer.setLocalDescription();
    const { sdp } = peer.localDescription;
    const query = new URLSearchParams({ ...this.query, max_gap_ms: MAX_GAP_MS, ...(this.encounter && { encounter_id: this.encounter }) });
    const headers = { "Content-Type": "application/sdp" };
    const signal = AbortSignal.timeout(withinMs);
    const answer = await this.api.ask(`whip?${query}`, { method: "POST", headers, body: sdp, signal });
    this.#resource = answer.headers.get("Location").replace(/^\//, "");
    this.encounter = answer.headers.get("Auscult-Encounter");
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    trickle = this.#trickling(candidates, sdp, answer.headers.get("ETag"));
    trickle();
    await onopened(this.encounter);
    await within(withinMs, flowing);
    this.#connected = true;
    const { transport } = peer.getSenders()[0];
    const closed = () => transport.state === "closed" && this.#lose(true); // behind a gap (see MAX_GAP_MS), or because it is over
    transport.onstatechange = closed;
    closed();
    this.began = await this.#sending();
    if (this.#over) throw new Problem(0, "offline"); // nobody was told of it yet
  }

  /** Another track takes the place of this one. */
  async replace(at, track) {
    const former = this.tracks[at];
    track.enabled = former.enabled;
    await this.#peer.getSenders().find((sender) => sender.track === former)?.replaceTrack(track);
    former.stop();
    this.tracks[at] = track;
  }

  /** Whether the server answers at present: a cut is noticed seconds later. */
  async answers() {
    for (let looks = 0; looks < DOUBTS; looks++) {
      if ((await this.#unanswered()) === 0) return true;
      await sleep(DOUBT_MS);
    }
    return false;
  }

  /** Hang up: the consultation is over. Raises `Problem`. */
  async end() {
    this.#over = true; // that the server hangs up now is no loss
    clearInterval(this.#looking);
    try {
      const answer = await this.api.ask(this.#resource, { method: "DELETE", signal: AbortSignal.timeout(END_MS) });
      await answer.text();
    } catch (problem) {
      if (problem.status !== 404) throw problem; // else it is over already
    }
    this.close();
  }

  close() {
    this.#over = true;
    clearInterval(this.#looking);
    this.#peer.onconnectionstatechange = null;
    this.#peer.close();
    for (const track of this.tracks) track.stop();
  }

  #trickling(candidates, sdp, etag) {
    let telling = Promise.resolve(); // one PATCH at a time, so that candidates arrive in order
    return () => {
      telling = telling.then(async () => {
        const lines = candidates.splice(0);
        const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag };
        if (lines.length) await this.api.ask(this.#resource, { method: "PATCH", headers, body: fragment(sdp, lines) });
      }).catch(() => {}); // without it the connection may still stand; if not, that is noticed
    };
  }

  /** Resolves when the way to the server stands; raises `Problem` where there is none. */
  #flowing() {
    const flowing = new Promise((resolve, reject) => {
      this.#peer.onconnectionstatechange = () => {
        if (this.#peer.connectionState === "connected") resolve();
        if (this.#peer.connectionState !== "failed") return;
        reject(new Problem(0, "webrtc_blocked"));
        this.#lose();
      };
    });
    flowing.catch(() => {}); // it may fail before anybody waits for it
    return flowing;
  }

  /** When the first packet was sent, from how many there are. */
  async #sending() {
    for (let tries = 0; tries < PACKET_TRIES; tries++) {
      const sent = (await this.#reports("outbound-rtp")).find(({ packetsSent }) => packetsSent);
      if (sent) return Date.now() - sent.packetsSent * PACKET_MS;
      await sleep(PACKET_MS);
    }
    return Date.now();
  }

  /** Look whether the way stands: the browser itself takes 5 s more to call a connection broken. Also how much was sent. */
  watch() {
    const look = async () => {
      const unanswered = await this.#unanswered();
      if (unanswered >= UNANSWERED || this.#peer.connectionState === "disconnected") return this.#lose();
      const sent = Math.max(...(await this.#reports("outbound-rtp")).map(({ packetsSent }) => packetsSent));
      if (sent > 0 && unanswered <= 1) this.onsent(sent * PACKET_MS);
    };
    this.#looking = setInterval(() => look().catch(() => {}), LOOK_MS); // it fails where the peer was just closed
    return look();
  }

  /** Checks of the way that were sent since the last one that was answered. */
  async #unanswered() {
    const pairs = await this.#reports("candidate-pair");
    const [responses, requests] = ["responsesReceived", "requestsSent"].map((count) => pairs.reduce((sum, pair) => sum + (pair[count] ?? 0), 0));
    if (responses !== this.#answered) [this.#answered, this.#asked] = [responses, requests];
    return requests - this.#asked;
  }

  async #reports(type) {
    return [...(await this.#peer.getStats()).values()].filter((report) => report.type === type);
  }

  #lose(hungUp = false) {
    clearInterval(this.#looking);
    if (this.#over || !this.#connected) return;
    this.#over = true;
    this.onlost(hungUp);
  }
}

/** What a promise resolves with; raises `Problem` where that takes longer. */
async function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Problem(0, "webrtc_blocked")), ms)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** RFC 8840: which m-line, whose ICE, which candidates. All media share one transport, so the first m-line is enough. */
function fragment(sdp, candidates) {
  const lines = sdp.split("\r\n");
  const first = (start) => lines.find((line) => line.startsWith(start));
  const head = ["a=group:BUNDLE", "m=", "a=mid:", "a=ice-ufrag:", "a=ice-pwd:"].map(first);
  return [...head, ...candidates, ""].join("\r\n");
}

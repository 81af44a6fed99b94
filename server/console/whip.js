// Audio by WebRTC: WHIP (RFC 9725) with trickled candidates. Events are read elsewhere: see events.js.

import { Problem } from "./api.js";
import { sleep } from "./pauses.js";

const LOOK_MS = 500; // between two looks at what the server answers
const PACKET_MS = 20; // of Opus, as browsers send it
const PACKET_TRIES = 50;
const UNANSWERED = 8; // checks of the way to it (STUN), which follow each other faster while none is answered: about 4 s

export class WhipPeer {
  onlost = () => {}; // the way is broken: once
  onsent = () => {}; // gets how many milliseconds of sound were sent so far, while the way stands
  encounter = null;
  began = null; // epoch in ms: when the first packet was sent, where the server's time line of it begins
  #peer = new RTCPeerConnection();
  #resource = null;
  #looking = null; // timer
  #connected = false;
  #over = false;

  /** query: language, template, roles, …; encounter: go on with this one. */
  constructor(api, tracks, query, encounter) {
    Object.assign(this, { api, tracks, query, encounter });
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
    const query = new URLSearchParams({ ...this.query, ...(this.encounter && { encounter_id: this.encounter }) });
    const headers = { "Content-Type": "application/sdp" };
    const answer = await this.api.ask(`whip?${query}`, { method: "POST", headers, body: sdp });
    this.#resource = answer.headers.get("Location").replace(/^\//, "");
    this.encounter = answer.headers.get("Auscult-Encounter");
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    trickle = this.#trickling(candidates, sdp, answer.headers.get("ETag"));
    trickle();
    await onopened(this.encounter);
    await within(withinMs, flowing);
    this.#connected = true;
    this.began = await this.#sending();
  }

  /** Another track takes the place of one. */
  replace(from, to) {
    return this.#peer.getSenders().find((sender) => sender.track === from)?.replaceTrack(to);
  }

  /** Hang up: the consultation is over. Raises `Problem`. */
  async end() {
    this.#over = true;
    clearInterval(this.#looking);
    try {
      await this.api.ask(this.#resource, { method: "DELETE" });
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
      const sent = [...(await this.#peer.getStats()).values()].find(({ type, packetsSent }) => type === "outbound-rtp" && packetsSent);
      if (sent) return Date.now() - sent.packetsSent * PACKET_MS;
      await sleep(PACKET_MS);
    }
    return Date.now();
  }

  /** Look whether the way stands: the browser itself takes 5 s more to call a connection broken. Also how much was sent. */
  watch() {
    let [answered, asked] = [0, 0]; // answers so far, and questions when the last one came
    const look = async () => {
      const stats = [...(await this.#peer.getStats()).values()];
      const total = (kind, count) => stats.reduce((sum, each) => sum + (each.type === kind ? each[count] ?? 0 : 0), 0);
      const [responses, requests] = ["responsesReceived", "requestsSent"].map((count) => total("candidate-pair", count));
      if (responses !== answered) [answered, asked] = [responses, requests];
      if (requests - asked >= UNANSWERED || this.#peer.connectionState === "disconnected") return this.#lose();
      const sent = Math.max(...stats.map(({ type, packetsSent }) => (type === "outbound-rtp" ? packetsSent : 0)));
      if (sent > 0 && requests - asked <= 1) this.onsent(sent * PACKET_MS);
    };
    this.#looking = setInterval(look, LOOK_MS);
    return look();
  }

  #lose() {
    clearInterval(this.#looking);
    if (this.#over || !this.#connected) return;
    this.#over = true;
    this.onlost();
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

// A microphone into Auscult by WebRTC: WHIP (RFC 9725) with trickled candidates; the transcript comes back as
// Server-Sent Events at the address in the answer's Link header, or over a data channel. No build, no dependency.

const FIRST_PAUSE_MS = 100; // before connecting again; doubled each time, up to:
const LONGEST_PAUSE_MS = 5000;
const AWAY_MS = 3000; // ICE heals a short interruption by itself; after a longer one we call again
const EVENTS = ["partial", "final", "withdrawn", "lagging", "interrupted", "resumed", "note", "error", "done"];
// Two people in one stereo track: what cleans a microphone's sound up makes mono of it.
const STEREO = { channelCount: 2, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

export class WhipSession {
  #peer = null;
  #resource = null; // URL of the WHIP session
  #events = null; // EventSource
  #pause = FIRST_PAUSE_MS;
  #again = null; // timer
  #ending = false;
  #told = new Set(); // ids of finals: whoever follows anew hears them from the beginning
  #settled; // {resolve, reject} of `done`

  /** query: language, template, roles, …; stereo: a channel for each person; channel: results over a data channel. */
  constructor({ server, token, query = {}, stereo = false, channel = false, onevent = () => {} }) {
    Object.assign(this, { server, token, query, stereo, channel, onevent, encounterId: null });
    this.done = new Promise((resolve, reject) => (this.#settled = { resolve, reject }));
    this.done.catch(() => {}); // whoever awaits it hears of it; nobody has to
  }

  /** Ask for the microphone, connect. */
  async start() {
    this.microphone = await navigator.mediaDevices.getUserMedia({ audio: this.stereo ? STEREO : true });
    await this.#connect();
  }

  /** Hang up; resolves with the outcome when everything is transcribed. */
  async stop() {
    this.#ending = true;
    clearTimeout(this.#again);
    for (const track of this.microphone.getTracks()) track.stop();
    await this.#ask(this.#resource, { method: "DELETE" });
    if (!this.channel) this.#peer.close(); // else the channel still has to bring the last events
    return this.done;
  }

  async #connect() {
    const peer = new RTCPeerConnection();
    this.#peer?.close();
    this.#peer = peer;
    for (const track of this.microphone.getTracks()) peer.addTrack(track, this.microphone);
    if (this.channel) this.#listen(peer, peer.createDataChannel("transcript"));
    peer.onconnectionstatechange = () => peer === this.#peer && this.#changed();
    const candidates = [];
    let trickle = () => {}; // nobody to tell before the server has answered
    peer.onicecandidate = ({ candidate }) => {
      candidates.push(candidate ? `a=${candidate.candidate}` : "a=end-of-candidates");
      trickle();
    };
    await peer.setLocalDescription();
    const { sdp } = peer.localDescription;

    const asked = new URL("/whip", this.server);
    const query = { ...this.query, ...(this.encounterId && { encounter_id: this.encounterId }) };
    for (const [name, value] of Object.entries(query)) asked.searchParams.set(name, value);
    const answer = await this.#ask(asked, { method: "POST", body: sdp, headers: { "Content-Type": "application/sdp" } });
    this.#resource = new URL(answer.headers.get("Location"), asked);
    this.encounterId = answer.headers.get("Auscult-Encounter");
    if (this.#ending) return this.#ask(this.#resource, { method: "DELETE" }); // stopped while the server answered
    const etag = answer.headers.get("ETag");
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    this.#follow(answer.headers.get("Link"), asked);

    let telling = Promise.resolve(); // one PATCH at a time, so that candidates arrive in order
    const resource = this.#resource;
    trickle = () => {
      telling = telling.then(async () => {
        const lines = candidates.splice(0);
        const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag };
        if (lines.length) await this.#ask(resource, { method: "PATCH", headers, body: fragment(sdp, lines) });
      });
    };
    trickle();
  }

  /** Raises what the server said, where it did not do what it was asked for. */
  async #ask(url, { headers = {}, ...options }) {
    const answer = await fetch(url, { ...options, headers: { ...headers, Authorization: `Bearer ${this.token}` } });
    if (!answer.ok) throw new Refused(answer.status, await answer.text());
    return answer;
  }

  #listen(peer, channel) {
    channel.onmessage = ({ data }) => this.#heard(JSON.parse(data));
    channel.onclose = () => {
      if (peer !== this.#peer || !this.#ending) return; // we call again
      this.#end(() => this.#settled.reject(new Error("The connection ended before everything was told.")));
    };
  }

  #follow(links, base) {
    if (this.channel) return;
    this.#events?.close();
    this.#events = new EventSource(new URL(eventsLink(links), base)); // it carries a token of its own
    for (const type of EVENTS) {
      // A broken connection fires "error" too, without data; EventSource connects again by itself.
      this.#events.addEventListener(type, ({ data }) => data && this.#heard(JSON.parse(data)));
    }
  }

  #heard(event) {
    if (event.type === "final") {
      if (this.#told.has(event.id)) return;
      this.#told.add(event.id);
    }
    this.onevent(event);
    if (event.type === "done") this.#end(() => this.#settled.resolve(event.outcome));
  }

  #changed() {
    const state = this.#peer.connectionState;
    this.onevent({ type: "connection", state });
    clearTimeout(this.#again);
    if (this.#ending) return;
    if (state === "connected") this.#pause = FIRST_PAUSE_MS;
    if (state === "disconnected") this.#again = setTimeout(() => this.#reconnect(), AWAY_MS);
    if (state === "failed") this.#reconnect();
  }

  /** A new session goes on with the consultation. The old one is not deleted: that would end the consultation. */
  async #reconnect() {
    try {
      await this.#connect();
    } catch (error) {
      if (error instanceof Refused && error.status < 500) return this.#end(() => this.#settled.reject(error));
      this.onevent({ type: "offline" });
      this.#again = setTimeout(() => this.#reconnect(), this.#pause * (0.5 + Math.random() / 2));
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
    }
  }

  #end(settle) {
    this.#ending = true;
    this.#events?.close();
    this.#peer.close();
    for (const track of this.microphone.getTracks()) track.stop();
    settle();
  }
}

class Refused extends Error {
  constructor(status, text) {
    super(`${status}: ${text}`);
    this.status = status;
  }
}

/** RFC 8840: which m-line, whose ICE, which candidates. All media share one transport, so the first m-line is enough. */
function fragment(sdp, candidates) {
  const lines = sdp.split("\r\n");
  const first = (start) => lines.find((line) => line.startsWith(start));
  const head = ["a=group:BUNDLE", "m=", "a=mid:", "a=ice-ufrag:", "a=ice-pwd:"].map(first);
  return [...head, ...candidates, ""].join("\r\n");
}

/** RFC 8288, as far as we need it: the target of the link whose relation names events. */
function eventsLink(header) {
  for (const [, target, parameters] of header.matchAll(/<([^>]*)>((?:\s*;\s*[\w*-]+=(?:"[^"]*"|[^;,]*))*)/g)) {
    if (/rel="?[^";]*server-sent-events/.test(parameters)) return target;
  }
  throw new Error("The answer has no link to the events.");
}

// What is recorded: a microphone, or the sound of another tab. Its level, whether there is any signal, and the newest two
// minutes of it, so that a connection that broke loses nothing.

export const RECORDED = new Set(["microphone", "tab"]); // kinds of sources
const LEVEL_MS = 100; // between two looks at the level
const SIGNAL_DB = -65; // RMS below it is no signal: an open microphone in a quiet room is louder
const SILENT_MS = 20_000; // after which somebody should look
const RATE = 16; // samples of PCM in a millisecond
const FRAME = 1600; // samples in a frame of it
const FRAME_MS = FRAME / RATE;
const RING_MS = 120_000; // kept while all is well: the browser notices a broken connection within seconds
const HELD_MS = 1_000_000; // kept while it is broken: 32 MB
const LOOKS = 20; // at what was sent

/** A microphone, by its id or as the browser thinks best. Raises DOMException. */
export async function openMicrophone(deviceId) {
  const wanted = deviceId ? { deviceId: { exact: deviceId } } : true;
  return navigator.mediaDevices.getUserMedia({ audio: wanted });
}

/** The sound of a tab that somebody chooses. Browsers share it only together with a picture, which is let go at once.
 *  Raises DOMException, `NoTabAudio`. */
export async function openTab() {
  const shared = await navigator.mediaDevices.getDisplayMedia({
    video: true,
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    systemAudio: "exclude",
  });
  for (const track of shared.getVideoTracks()) track.stop();
  if (shared.getAudioTracks().length) return new MediaStream(shared.getAudioTracks());
  throw Object.assign(new Error("no audio was shared"), { name: "NoTabAudio" });
}

/** One of the sources of a recording. Listeners: `onended` (unplugged, sharing ended), `onsignal(whether)`. */
export class Source {
  onended = () => {};
  onsignal = () => {};
  level = 0; // 0 to 1, of full scale in decibels
  #stream;
  #context = null;
  #node = null; // of the stream, in the context
  #analyser = null;
  #worklet = null;
  #timer = null;
  #heard = Date.now(); // when there was a signal
  #signal = true;
  #closed = false;
  #enabled = true;

  /** kind: "microphone" or "tab"; role: who is heard. */
  constructor(kind, role, stream) {
    Object.assign(this, { kind, role, ring: new Ring() });
    this.#take(stream);
  }

  get stream() {
    return this.#stream;
  }

  get hasSignal() {
    return this.#signal;
  }

  get track() {
    return this.#stream.getAudioTracks()[0];
  }

  get deviceId() {
    return this.kind === "microphone" ? this.track.getSettings().deviceId : undefined;
  }

  /** Whether sound is let through; else silence is recorded. */
  set enabled(whether) {
    this.#enabled = this.track.enabled = whether;
    this.#heard = Date.now();
  }

  /** Begin to listen to the level, and to keep what is heard where the browser can. */
  async listen(context) {
    this.#context = context;
    this.#analyser = context.createAnalyser();
    this.#analyser.fftSize = 2048;
    if (context.audioWorklet) {
      try {
        await context.audioWorklet.addModule(new URL("pcm.js", import.meta.url));
        if (this.#closed) return;
        this.#worklet = new AudioWorkletNode(context, "pcm", { numberOfOutputs: 0 });
        this.#worklet.port.onmessage = ({ data }) => this.ring.add(data);
      } catch {
        this.#worklet = null; // then a connection that breaks loses what is said until it is back
      }
    }
    if (this.#closed) return;
    this.#connect();
    this.#timer = setInterval(() => this.#measure(), LEVEL_MS);
  }

  /** Another microphone takes the place of one that is gone. */
  replace(stream) {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#take(stream);
    if (this.#timer) this.#connect(); // else it is about to
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#node?.disconnect();
    if (this.#worklet) this.#worklet.port.onmessage = null;
    for (const track of this.#stream.getTracks()) track.stop();
  }

  #take(stream) {
    this.#stream = stream;
    this.track.enabled = this.#enabled;
    this.#heard = Date.now(); // it has its time to be heard, too
    this.track.onended = () => this.onended();
  }

  #connect() {
    this.#node?.disconnect();
    this.#node = this.#context.createMediaStreamSource(this.#stream);
    this.#node.connect(this.#analyser);
    if (this.#worklet) this.#node.connect(this.#worklet);
  }

  #measure() {
    const samples = new Float32Array(this.#analyser.fftSize);
    this.#analyser.getFloatTimeDomainData(samples);
    const decibels = 10 * Math.log10(samples.reduce((sum, each) => sum + each * each, 0) / samples.length + 1e-12);
    this.level = Math.max(0, Math.min(1, 1 + decibels / 60));
    const now = Date.now();
    if (decibels > SIGNAL_DB || !this.#enabled || this.#context.state !== "running") this.#heard = now;
    const signal = now - this.#heard < SILENT_MS;
    if (signal !== this.#signal) this.onsignal((this.#signal = signal));
  }
}

/** The newest PCM of a source, and where in it a stream began that is sent to the server meanwhile. Both count samples of
 *  the same device, so that no clock is asked and none can drift. */
export class Ring {
  onframe = null; // gets each new frame, once somebody wants all of them
  #most = RING_MS / FRAME_MS;
  #frames = [];
  #samples = 0; // that ever came
  #zeros = []; // the sample with which the stream began, as the newest looks show it

  add(frame) {
    this.#frames.push(frame);
    this.#samples += FRAME;
    if (this.#frames.length > this.#most) this.#frames.shift();
    this.onframe?.(frame);
  }

  /** So much of the stream was sent by now. */
  sent(ms) {
    this.#zeros.push(this.#samples - ms * RATE);
    if (this.#zeros.length > LOOKS) this.#zeros.shift();
  }

  /** Nothing is sent any more: keep more of it. */
  hold() {
    this.#most = HELD_MS / FRAME_MS;
  }

  /** What was heard behind so much of the stream, to the sample; all that there is where no stream was sent. */
  since(ms) {
    const zero = Math.max(...this.#zeros); // frames come late and never early: the latest beginning is the truest
    const wanted = Math.max(0, Math.round(this.#samples - zero - ms * RATE));
    const whole = Math.min(this.#frames.length, Math.ceil(wanted / FRAME));
    const frames = whole ? this.#frames.slice(-whole) : [];
    const beyond = whole * FRAME - wanted;
    if (frames.length && beyond > 0) frames[0] = frames[0].slice(beyond * 2);
    return frames;
  }
}

// What is recorded: a microphone, or the sound of another tab. Its level, whether there is any signal, and the newest two
// minutes of it, so that a connection that broke loses nothing.

const LEVEL_MS = 100; // between two looks at the level
const SIGNAL_DB = -65; // RMS below it is no signal: an open microphone in a quiet room is louder
const SILENT_MS = 20_000; // after which somebody should look
const FRAME_MS = 100; // of PCM
const JUMP_MS = 1000; // between the frames and the clock
const FOLLOWED = 0.02; // of what a frame is late or early
const RING_MS = 120_000; // kept while all is well: the browser notices a broken connection within seconds

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
  #nodes = [];
  #analyser = null;
  #worklet = null;
  #timer = null;
  #heard = Date.now(); // when there was a signal
  #signal = true;
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
        this.#worklet = new AudioWorkletNode(context, "pcm", { numberOfOutputs: 0 });
        this.#worklet.port.onmessage = ({ data }) => this.ring.add(data);
      } catch {
        this.#worklet = null; // then a connection that breaks loses what is said until it is back
      }
    }
    this.#connect();
    this.#timer = setInterval(() => this.#measure(), LEVEL_MS);
  }

  /** Another microphone takes the place of one that is gone. */
  replace(stream) {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#take(stream);
    if (this.#context) this.#connect();
  }

  close() {
    clearInterval(this.#timer);
    for (const node of this.#nodes) node.disconnect();
    if (this.#worklet) this.#worklet.port.onmessage = null;
    for (const track of this.#stream.getTracks()) track.stop();
  }

  #take(stream) {
    this.#stream = stream;
    this.track.enabled = this.#enabled;
    this.track.onended = () => this.onended();
  }

  #connect() {
    for (const node of this.#nodes) node.disconnect();
    const source = this.#context.createMediaStreamSource(this.#stream);
    source.connect(this.#analyser);
    if (this.#worklet) source.connect(this.#worklet);
    this.#nodes = [source];
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

/** The newest PCM, by the page's clock. */
export class Ring {
  onframe = null; // gets each new frame, once somebody wants all of them
  #frames = [];
  #ends = 0; // epoch in ms, of the newest frame's end

  add(frame) {
    // Frames come in bursts; samples do not: the clock is followed slowly. A machine that slept begins anew.
    const now = Date.now();
    const late = now - this.#ends - FRAME_MS;
    this.#ends = Math.abs(late) < JUMP_MS ? this.#ends + FRAME_MS + late * FOLLOWED : now;
    this.#frames.push(frame);
    if (this.#frames.length > RING_MS / FRAME_MS) this.#frames.shift();
    this.onframe?.(frame);
  }

  /** What was heard since then (epoch in ms), to the sample. */
  since(when) {
    const wanted = Math.max(0, Math.round((this.#ends - when) * 16)); // samples
    const whole = Math.min(this.#frames.length, Math.ceil(wanted / 1600));
    const frames = whole ? this.#frames.slice(-whole) : [];
    const beyond = whole * 1600 - wanted;
    if (frames.length && beyond > 0) frames[0] = frames[0].slice(beyond * 2);
    return frames;
  }

  get running() {
    return this.#frames.length > 0;
  }
}

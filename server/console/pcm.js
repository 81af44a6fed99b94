// An AudioWorklet: what a source plays, as 16 kHz mono s16le in frames of 100 ms. Its messages are ArrayBuffers.

const RATE = 16_000; // Hz, what the server recognises
const FRAME = 1600; // samples
const LOBES = 16; // of the windowed sinc on each side, at the lower of both rates
const PHASES = 64; // positions between two input samples for which there is a filter
const PASSED = 0.9; // of the lower rate's band

/** A low-pass for each position between two input samples: Hann-windowed sinc (Smith, Digital Audio Resampling). */
function filters(ratio, half) {
  return Array.from({ length: PHASES }, (_, phase) =>
    Float32Array.from({ length: 2 * half }, (_, tap) => {
      const at = tap - half + 1 - phase / PHASES;
      const x = at * ratio * PASSED * Math.PI;
      const sinc = x === 0 ? 1 : Math.sin(x) / x;
      return ratio * PASSED * sinc * (0.5 + 0.5 * Math.cos((Math.PI * at) / half));
    }),
  );
}

class Pcm extends AudioWorkletProcessor {
  #step = sampleRate / RATE; // input samples for an output sample
  #half = Math.ceil(LOBES * Math.max(1, this.#step));
  #filters = filters(Math.min(1, 1 / this.#step), this.#half);
  #kept = new Float32Array(2 * this.#half); // input that filters still reach back to
  #at = this.#half; // of the next output sample, in kept input
  #frame = new Int16Array(FRAME);
  #filled = 0;

  process([channels]) {
    const block = mixed(channels);
    const input = new Float32Array(this.#kept.length + block.length);
    input.set(this.#kept);
    input.set(block, this.#kept.length);
    for (; this.#at + this.#half < input.length; this.#at += this.#step) this.#put(this.#sample(input));
    const used = Math.min(input.length, Math.max(0, Math.floor(this.#at) - this.#half));
    this.#kept = input.slice(used);
    this.#at -= used;
    return true;
  }

  #sample(input) {
    const whole = Math.floor(this.#at);
    const filter = this.#filters[Math.floor((this.#at - whole) * PHASES)];
    let sum = 0;
    for (let tap = 0; tap < filter.length; tap++) sum += filter[tap] * input[whole - this.#half + 1 + tap];
    return sum;
  }

  #put(sample) {
    this.#frame[this.#filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
    if (this.#filled < FRAME) return;
    this.port.postMessage(this.#frame.buffer, [this.#frame.buffer]);
    this.#frame = new Int16Array(FRAME);
    this.#filled = 0;
  }
}

/** One channel; silence where nothing is plugged in, so that time goes on. */
function mixed(channels) {
  if (!channels?.length) return new Float32Array(128);
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length);
}

registerProcessor("pcm", Pcm);

// What a source plays as chunks of a container that the browser writes (MediaRecorder).

const TYPES = ["audio/webm;codecs=opus", "audio/mp4;codecs=opus", "audio/mp4"]; // the first that the browser can write
const BITS_PER_S = 64_000;

export const CHUNK_MS = 250;
export const canRecord = () => "MediaRecorder" in window && TYPES.some((type) => MediaRecorder.isTypeSupported(type));

export class Recorder {
  beginsFile = false; // the chunk that is given out is the first of a file
  #recorder;
  #onchunk;

  /** onchunk gets each chunk, a Blob. */
  constructor(stream, onchunk) {
    this.#onchunk = onchunk;
    this.#record(stream);
  }

  /** Go on with another stream, or with this one anew: its chunks begin a new file. */
  async restart(stream) {
    await this.stop();
    this.#record(stream);
  }

  /** Resolves when the last chunk was given out. */
  stop() {
    const recorder = this.#recorder;
    return new Promise((resolve) => {
      if (recorder.state === "inactive") return resolve();
      recorder.addEventListener("stop", resolve, { once: true }); // its last chunk comes before it
      recorder.stop();
    });
  }

  #record(stream) {
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.#recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_S });
    let first = true;
    this.#recorder.ondataavailable = ({ data }) => {
      if (!data.size) return;
      [this.beginsFile, first] = [first, false];
      this.#onchunk(data);
    };
    this.#recorder.start(CHUNK_MS);
  }
}

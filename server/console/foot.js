// The line at the foot: does the connection stand, how soon is text there, what recognises and writes, what is kept.

import { $ } from "./dom.js";
import { hours, t, tenths, writerName } from "./texts.js";

const REMEMBERED = 9; // delays, of which the median is shown
const LATE_MS = 15_000; // what came later than that was told again, or belongs to an interruption

export class Foot {
  #delays = [];
  #capabilities = null;
  #connection = { online: null, way: null };

  /** What the server can do: see `GET /api/capabilities`. */
  offer(capabilities) {
    this.#capabilities = capabilities;
    this.write();
  }

  /** online: null before anything is known; way: of a recording, else null. */
  connection(online, way = null) {
    this.#connection = { online, way };
    this.#writeConnection();
  }

  /** A final came whose speech ended at this moment (epoch in ms), by this page's clock. */
  heard(ended) {
    const delay = Date.now() - ended;
    if (delay < 0 || delay > LATE_MS) return;
    this.#delays = [...this.#delays, delay].slice(-REMEMBERED);
    const middle = [...this.#delays].sort((one, other) => one - other)[this.#delays.length >> 1];
    $("foot-delay").textContent = t("foot.delay", { seconds: tenths(middle / 1000) });
  }

  forget() {
    this.#delays = [];
    $("foot-delay").textContent = "";
  }

  /** Again, in another language. */
  write() {
    this.#writeConnection();
    if (!this.#capabilities) return;
    const { recogniser, writer, retention, version } = this.#capabilities;
    $("foot-engines").textContent = t("foot.engines", {
      recogniser: [recogniser.kind, recogniser.model].filter(Boolean).join(" "),
      writer: writerName(writer),
    });
    $("foot-retention").textContent = kept(retention);
    $("foot-version").textContent = `Auscult ${version}`;
  }

  #writeConnection() {
    const { online, way } = this.#connection;
    const stands = $("foot-connection");
    stands.className = online === null ? "" : online ? "online" : "offline";
    stands.textContent = online === null ? "" : t(online ? "foot.online" : "foot.offline");
    if (online && way) stands.textContent = t(`foot.way.${way}`);
    if (!online && way) stands.textContent = t("foot.kept");
  }
}

/** How long what is kept, of recordings that this page makes and of files. */
function kept({ live_audio_hours, upload_audio_hours, result_hours }) {
  const long = (audio) => (audio ? hours(audio) : t("foot.at_once"));
  const [audio, rest] = [long(live_audio_hours), hours(result_hours)];
  if (upload_audio_hours === live_audio_hours) return t("foot.retention", { audio, rest });
  return t("foot.retention_differs", { audio, files: long(upload_audio_hours), rest });
}

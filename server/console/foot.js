// The line at the foot: does the connection stand, how soon is text there, what recognises and writes, what is kept.

import { $ } from "./dom.js";
import { hours, t, tenths } from "./texts.js";

const REMEMBERED = 9; // delays, of which the median is shown
const LATE_MS = 15_000; // what came later than that was told again, or belongs to an interruption

export class Foot {
  #delays = [];
  #capabilities = null;
  #connection = null;

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
    $("foot-delay").dataset.ms = middle;
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
      writer: writer.startsWith("model:") ? writer.slice(6) : t(`writer.${writer}`),
    });
    $("foot-retention").textContent = t("foot.retention", {
      audio: retention.live_audio_hours ? hours(retention.live_audio_hours) : t("foot.at_once"),
      rest: hours(retention.result_hours),
    });
    $("foot-version").textContent = `Auscult ${version}`;
  }

  #writeConnection() {
    const { online = null, way = null } = this.#connection ?? {};
    const stands = $("foot-connection");
    stands.className = online === null ? "" : online ? "online" : "offline";
    stands.textContent = online === null ? "" : t(online ? "foot.online" : "foot.offline");
    if (online && way) stands.textContent = t(`foot.way.${way}`);
    if (!online && way) stands.textContent = t("foot.kept");
  }
}

// How consultations begin: what is filled in becomes a recording, files or a text. Owns the recording that goes on, whatever
// is shown meanwhile.

import { Problem } from "./api.js";
import { forgetProblems, notify } from "./ask.js";
import { openMicrophone, openTab, RECORDED, Source } from "./capture.js";
import { NO_NOTE } from "./consultation.js";
import { $ } from "./dom.js";
import { forget, keep, kept } from "./kept.js";
import { Abandoned, endKept, Recording } from "./recording.js";
import { RecordingBar } from "./recording_bar.js";
import { t } from "./texts.js";
import { sendFiles, sendText } from "./upload.js";

const LEFT_S = 1800; // a token that is to outlive a session outlives it by so much
const OVER = new Set( // there is nothing to go on with
  ["already_final", "closed", "displaced", "ended_away", "ended_elsewhere", "erased", "not_found", "resume_token_invalid", "resume_token_used"],
);

export class Desk {
  recording = null;
  uploading = false;
  #api;
  #foot;
  #start;
  #go;
  #tell;
  #onback;
  #onrecording;
  #onfinished;
  #limits;
  #stood = false; // the recording's connection did
  #bar = new RecordingBar({
    onstop: () => this.#finish(),
    onproblem: (error) => this.#tell(error),
    onshow: () => this.#go(`c/${this.recording.encounter}`),
    oncome: (what) => this.comeBack(what),
    onleave: () => this.#leave(),
  });

  /** start: the form; go: shows a view, by the address's fragment; tell: says what went wrong; onback: the network was
   *  away, and is back; onrecording: sound is recorded from now on; onfinished: gets the encounter of which no more is. */
  constructor(api, { foot, start, go, tell, onback, onrecording, onfinished }) {
    [this.#api, this.#foot, this.#start, this.#go, this.#tell] = [api, foot, start, go, tell];
    [this.#onback, this.#onrecording, this.#onfinished] = [onback, onrecording, onfinished];
  }

  /** What the server can do: see `GET /api/capabilities`. */
  offer({ limits }) {
    this.#limits = limits;
  }

  /** The encounter whose view is shown. */
  shows(encounter) {
    this.#bar.shows(encounter);
  }

  /** Again, in another language. */
  write() {
    this.#bar.update();
  }

  /** Begin with what was filled in. */
  async begin(wanted) {
    forgetProblems();
    if (this.recording && RECORDED.has(wanted.source)) return this.#tell(new Problem(0, "one_already"));
    this.#start.busy(wanted.source, true);
    try {
      if (wanted.source === "file") return await this.#send(wanted);
      if (wanted.source === "typed") this.#go(`c/${await sendText(this.#api, wanted)}`);
      else await this.#record(wanted);
      this.#start.clear();
    } catch (error) {
      if (!(error instanceof Abandoned)) this.#tell(error);
    } finally {
      this.#start.busy(wanted.source, false);
    }
  }

  async #record({ source, device, own, options, consent, way }) {
    const sources = [];
    let recording = null;
    this.#start.asks(source); // the browser does, until somebody answers
    try {
      if (source === "tab") sources.push(new Source("tab", own ? "patient" : "unspecified", await openTab()));
      if (source === "microphone" || own) {
        sources.push(new Source("microphone", source === "tab" ? "doctor" : "unspecified", await openMicrophone(device)));
      }
      sources.sort((one, other) => one.role.localeCompare(other.role)); // the doctor is the first of two
      this.#start.asks(null);
      if (this.recording) throw new Problem(0, "one_already"); // it came back while the browser asked
      this.#leaveBehind(kept());
      recording = new Recording(this.#api, sources, { options, consent, way });
      await this.#run(recording);
    } catch (error) {
      recording?.abandon();
      for (const each of sources) each.close();
      throw error;
    } finally {
      this.#start.asks(null);
    }
  }

  /** Record, and show it. Raises `Problem`, DOMException. */
  async #run(recording) {
    this.recording = recording;
    this.#stood = true; // at first there is nothing to come back from
    this.#foot.forget();
    recording.onchange = () => this.#changed(recording);
    recording.onproblem = (problem) => this.#heard(problem);
    recording.onmoved = (encounter) => {
      notify(t("recording.went_on"), "problem");
      this.#go(`c/${encounter}`);
    };
    this.#bar.show(recording);
    const { max_token_s, max_session_minutes } = this.#limits;
    await this.#api.token(); // somebody may have to sign in first
    await this.#api.holdFor(Math.min(max_token_s, max_session_minutes * 60 + LEFT_S));
    await recording.start();
    this.#go(`c/${recording.encounter}`);
  }

  /** What is told of the consultation as well is not said twice. */
  #heard(problem) {
    if (problem.code === "not_found") notify(t("consultation.gone"), "problem");
    else if (!NO_NOTE.has(problem.code)) this.#tell(problem);
  }

  #changed(recording) {
    if (recording !== this.recording) return;
    this.#bar.update();
    document.title = `● ${t("title")}`;
    const goesOn = recording.state === "recording" || recording.state === "paused";
    this.#foot.connection(recording.connected, goesOn ? recording.way : null);
    if (recording.state === "recording") this.#onrecording();
    if (recording.connected && !this.#stood) this.#onback();
    this.#stood = recording.connected;
    if (recording.state !== "over") return;
    this.recording = null;
    this.#bar.show(null);
    this.#foot.connection(navigator.onLine);
    document.title = t("title");
  }

  async #finish() {
    const { recording } = this;
    if (recording?.state === "connecting") return recording.abandon();
    forgetProblems();
    try {
      await recording?.stop();
      this.#bar.finished();
      this.#onfinished(recording?.encounter);
    } catch (problem) {
      this.#tell(problem);
    }
  }

  async #send(wanted) {
    this.uploading = true;
    const there = location.hash;
    try {
      const encounter = await sendFiles(this.#api, wanted, (share) => {
        $("upload").hidden = false;
        $("upload-bar").value = share;
        $("upload-state").textContent = t(share < 1 ? "upload.sending" : "upload.storing", { percent: Math.floor(share * 100) });
      });
      const left = !this.#start.clearSent(wanted) || location.hash !== there;
      if (left) notify(t("upload.done")); // whoever does something else meanwhile is left there
      else this.#go(`c/${encounter}`);
    } finally {
      this.uploading = false;
      $("upload").hidden = true;
    }
  }

  // Behind a reload

  /** Go on with what was being recorded. A tab is shared, and some browsers' microphones are opened, only when somebody has
   *  just pressed something: where that is missing, it is asked for. */
  async comeBack(what) {
    if (this.recording) return; // it is taken up already
    this.#go(`c/${what.encounter}`);
    let recording = null;
    try {
      if (what.ending) return await this.#endNow(what);
      const reopened = await this.#reopened(what);
      if (this.recording) return reopened.sources.forEach((source) => source.close()); // something else is recorded by now
      recording = reopened;
      await this.#run(recording);
    } catch (error) {
      recording?.abandon();
      if (OVER.has(error.code)) return this.#tell(error);
      keep(what); // to be tried again
      this.#bar.offerToComeBack(what, error instanceof Abandoned ? null : error);
    }
  }

  async #endNow(what) {
    await endKept(this.#api, what).catch((problem) => OVER.has(problem.code) || Promise.reject(problem));
    forget();
  }

  async #reopened({ sources: wanted, options, consent, ...kept }) {
    const sources = [];
    try {
      for (const { kind, role, deviceId } of [...wanted].sort((one) => (one.kind === "tab" ? -1 : 1))) {
        const known = () => openMicrophone(deviceId).catch(() => openMicrophone());
        sources.push(new Source(kind, role, await (kind === "tab" ? openTab() : known())));
      }
    } catch (error) {
      for (const source of sources) source.close();
      throw error;
    }
    sources.sort((one, other) => one.role.localeCompare(other.role));
    return new Recording(this.#api, sources, { options, consent, kept });
  }

  /** What was interrupted is not taken up again: it is over. */
  #leave() {
    const what = kept();
    this.#bar.show(null);
    if (!what) return;
    keep({ ...what, ending: true });
    this.comeBack(kept());
  }

  /** The same, where something else is recorded from now on. */
  #leaveBehind(what) {
    if (!what) return;
    forget();
    notify(t("back.left"));
    endKept(this.#api, what).catch(() => {}); // it ends by itself, later
  }

  /** The consultation was ended or erased elsewhere. A recording that is cut off finds out by itself what is to be done. */
  ended(encounter, { erased = false } = {}) {
    const { recording } = this;
    if (recording?.encounter !== encounter || recording.state === "ending") return;
    if (!erased && !(recording.connected && recording.way === "webrtc")) return; // a socket is told itself
    const why = new Problem(0, erased ? "erased" : "ended_elsewhere");
    recording.abandon(why);
    if (!erased) this.#tell(why);
  }
}

// The bar above all views while something is recorded: that it is, for how long, how loud; pause, finish.

import { openMicrophone, openTab } from "./capture.js";
import { $, h } from "./dom.js";
import { clock, explain, t } from "./texts.js";

const TICK_MS = 200;
const FINISHED_MS = 2000; // so that a second press on "Finish" meets nothing that moved into its place

export class RecordingBar {
  #recording = null;
  #timer = null;
  #shown = null;
  #kept = null; // what could be gone on with, and …
  #why = null; // … the error with which it was interrupted

  /** onstop, onshow; onproblem gets errors; oncome, onleave: an interrupted recording is taken up, or not. */
  constructor({ onstop, onproblem, onshow, oncome, onleave }) {
    Object.assign(this, { onproblem, oncome });
    $("pause").addEventListener("click", () => this.#pause());
    $("finish").addEventListener("click", onstop);
    $("to-recording").addEventListener("click", onshow);
    $("again-source").addEventListener("click", () => this.#again());
    $("leave-recording").addEventListener("click", onleave);
  }

  /** The recording that goes on; null: none does. */
  show(recording) {
    this.#recording = recording;
    this.#kept = null;
    clearInterval(this.#timer);
    $("recording").hidden = recording === null;
    $("leave-recording").hidden = true;
    if (!recording) return;
    $("meters").replaceChildren(...recording.sources.map(({ role }) =>
      h("meter", { min: 0, max: 1, low: 0.2, high: 0.95, optimum: 0.6, "aria-label": t("recording.level", { who: t(`role.${role}`) }) })));
    for (const source of recording.sources) source.onsignal = () => this.update();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.update();
  }

  /** The encounter whose view is shown: a way leads back to the one that is recorded. */
  shows(encounter) {
    this.#shown = encounter;
    this.update();
  }

  /** Say so for a moment. */
  finished() {
    this.#still();
    $("recording-state").textContent = t("recording.over");
    $("recording").className = "recording over";
    setTimeout(() => this.#recording || this.#kept || ($("recording").hidden = true), FINISHED_MS);
  }

  /** why: an error; null: somebody wanted it so. */
  offerToComeBack(kept, why) {
    this.show(null);
    [this.#kept, this.#why] = [kept, why];
    this.#still();
    $("recording").className = "recording offered";
    $("again-source").hidden = $("leave-recording").hidden = false;
    this.update();
  }

  /** The bar without what belongs to a recording that goes on. */
  #still() {
    $("recording").hidden = false;
    $("recording-problem").textContent = $("recording-clock").textContent = "";
    $("meters").replaceChildren();
    for (const id of ["pause", "finish", "to-recording", "again-source"]) $(id).hidden = true;
  }

  #offer() {
    $("recording-state").textContent = t("back.interrupted", { why: this.#why ? explain(this.#why) : "" });
    $("again-source").textContent = t("recording.continue");
  }

  update() {
    const recording = this.#recording;
    if (this.#kept) this.#offer();
    if (!recording) return;
    const { state, connected, sources } = recording;
    const live = state === "recording" || state === "paused";
    const begun = live || state === "ending";
    const gone = sources.find((source) => source.track.readyState === "ended");
    $("recording").className = `recording ${state} ${connected ? "" : "interrupted"}`;
    $("recording-state").textContent = t(begun && !connected ? `recording.${state}_offline` : `recording.${state}`);
    $("pause").hidden = !live;
    $("finish").hidden = !live && state !== "connecting";
    $("finish").textContent = t(state === "connecting" ? "ask.no" : "recording.finish");
    $("pause").textContent = t(state === "paused" ? "recording.resume" : "recording.pause");
    $("to-recording").hidden = !recording.encounter || this.#shown === recording.encounter;
    $("again-source").hidden = !(live && gone);
    $("again-source").textContent = t(gone?.kind === "tab" ? "recording.share_again" : "recording.other_microphone");
    const silent = live && !gone && sources.find((source) => !source.hasSignal);
    const problem = live && gone ? `recording.gone.${gone.kind}` : silent ? `recording.silent.${silent.kind}` : "";
    const said = problem ? t(problem) : "";
    if ($("recording-problem").textContent !== said) $("recording-problem").textContent = said;
    this.#tick();
  }

  #tick() {
    const { sources, elapsedMs, state } = this.#recording;
    $("recording-clock").textContent = clock(state === "connecting" ? 0 : elapsedMs);
    sources.forEach((source, at) => ($("meters").children[at].value = state === "recording" ? source.level : 0));
  }

  #pause() {
    if (this.#recording.state === "paused") this.#recording.resume();
    else this.#recording.pause();
  }

  /** A microphone in the place of one that is gone, a tab shared once more, or a recording taken up again. */
  async #again() {
    const button = $("again-source");
    button.disabled = true; // a second press would open everything twice
    await this.#take();
    button.disabled = false;
  }

  async #take() {
    if (this.#kept) return this.oncome(this.#kept);
    const gone = this.#recording.sources.find((source) => source.track.readyState === "ended");
    try {
      if (gone) await this.#recording.replace(gone, await (gone.kind === "tab" ? openTab() : openMicrophone()));
    } catch (error) {
      this.onproblem(error);
    }
  }
}

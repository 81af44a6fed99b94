// One consultation before its reader: what was said beside the note, how far it is, and what can be done with it.

import { Problem } from "./api.js";
import { ask, notify } from "./ask.js";
import { Consultation, NO_NOTE, OUTCOMES } from "./consultation.js";
import { $, refocus } from "./dom.js";
import { follow } from "./events.js";
import { NoteView } from "./note.js";
import { Player } from "./player.js";
import { explain, moment, t } from "./texts.js";
import { Transcript } from "./transcript.js";
import { progress } from "./upload.js";

export class ConsultationView {
  #api;
  #desk;
  #foot;
  #go;
  #tell;
  #player;
  #transcript;
  #note;
  #shown = null; // {consultation, following}
  #renewal = new EventTarget();

  /** desk: what is being recorded; go: shows another view; tell: says what went wrong. */
  constructor(api, { desk, foot, go, tell }) {
    [this.#api, this.#desk, this.#foot, this.#go, this.#tell] = [api, desk, foot, go, tell];
    this.#player = new Player(api);
    this.#player.onplaying = (item) => this.#transcript.playing(item);
    this.#player.onproblem = (problem) => notify(problem.status === 404 ? t("error.audio_none") : explain(problem), "problem");
    this.#transcript = new Transcript({ oncorrect: (correction) => this.#correct(correction), onplay: (item) => this.#play([item]) });
    this.#note = new NoteView(api, { onevidence: (ids) => this.#evidence(ids), ask, notify });
    for (const tab of document.querySelectorAll("[data-panel]")) tab.addEventListener("click", () => showPanel(tab.dataset.panel));
    $("erase").addEventListener("click", async () => (await this.erase(this.encounter)) && go("past"));
    addEventListener("keydown", (event) => event.key === "Escape" && this.#player.stop());
  }

  /** Of the consultation that is shown; null: none is. */
  get encounter() {
    return this.#shown?.consultation.encounter ?? null;
  }

  /** Whether a note was edited and not saved. */
  get unsaved() {
    return this.#note.unsaved;
  }

  /** What the server can do: see `GET /api/capabilities`. */
  offer({ templates }) {
    this.#note.offer(templates);
  }

  /** Show a consultation, and follow it until it is over. */
  async open(encounter) {
    if (this.encounter === encounter) return this.#attend(); // it may be recorded now
    this.close();
    const { recording } = this.#desk;
    const mine = recording?.encounter === encounter;
    const consultation = new Consultation(encounter);
    const following = new AbortController();
    this.#shown = { consultation, following };
    this.#transcript.show(consultation);
    $("consultation-state").textContent = t(mine ? "status.live" : "past.loading");
    consultation.show({
      onfinal: (item) => this.#heard(item),
      onerror: (event) => this.#warned(event),
      ondone: () => this.#ended(consultation),
    });
    this.#note.show(consultation, { live: mine, template: mine ? recording.template : null });
    spokenIn(mine ? recording.language : "");
    this.#attend();
    if (!mine) this.#describe(consultation);
    await this.#follow(consultation, following.signal);
  }

  /** What is recorded here is read out as it is said, and shown first on a narrow screen; all else is there to be read. */
  #attend() {
    const mine = this.#desk.recording?.encounter === this.encounter;
    this.#transcript.announce(mine);
    showPanel(mine ? "transcript" : "note");
  }

  /** Leave it: what is asked for it now comes too late. */
  close() {
    for (const said of document.querySelectorAll("#notices [data-of]")) said.remove(); // they were about what is left now
    if ($("ask").open) $("ask").close();
    this.#shown?.following.abort();
    this.#shown = null;
    this.#note.leave();
    this.#transcript.leave();
    $("consultation-state").textContent = "";
    this.#player.stop();
  }

  /** The network was away: what is told comes over a connection that nobody may serve any more. */
  renew() {
    this.#renewal.dispatchEvent(new Event("renew"));
  }

  /** Again, in another language of the page. */
  write() {
    if (!this.#shown) return;
    const { consultation } = this.#shown;
    this.#transcript.write();
    this.#note.write();
    if (this.#desk.recording?.encounter === consultation.encounter) $("consultation-state").textContent = t("status.live");
    else if (consultation.outcome) this.#describe(consultation); // else what asks how far it is says so soon
  }

  /** Destroy a consultation, when somebody has said twice that it is to be; whether it is gone. */
  async erase(encounter) {
    if (!(await ask({ title: t("erase.title"), text: t("erase.text"), yes: t("erase.yes"), grave: true }))) return false;
    try {
      await this.#api.ask(`api/encounters/${encounter}`, { method: "DELETE" });
    } catch (problem) {
      if (problem.status !== 404) return this.#tell(problem), false;
    }
    this.#desk.ended(encounter, { erased: true });
    if (this.encounter === encounter) this.close();
    notify(t("erase.done"));
    return true;
  }

  /** Something is recorded, which would hear what is played. */
  hush() {
    this.#player.stop();
  }

  /** No more is said: from here on the server is asked how far it is. */
  finished(encounter) {
    if (this.encounter !== encounter) return;
    refocus($("consultation-title")); // the button that ended it is gone
    this.#describe(this.#shown.consultation, OUTCOMES);
  }

  // What is told of it

  async #follow(consultation, signal) {
    const { encounter } = consultation;
    const onstate = (state) => {
      if (signal.aborted) return;
      if (state === "told") consultation.forgetPartials(); // those that are still being said are told again
      if (state !== "over" && !this.#desk.recording) this.#foot.connection(state === "told");
    };
    try {
      await follow(this.#api, encounter, { onevent: (event) => signal.aborted || consultation.hear(event), onstate, signal, renewal: this.#renewal });
    } catch (problem) {
      if (problem.status !== 404) return this.#tell(problem);
      this.#desk.ended(encounter, { erased: true });
      notify(t("consultation.gone"), "problem");
      this.#go("past");
    }
  }

  #heard(item) {
    const { recording } = this.#desk;
    if (recording?.encounter === this.encounter) this.#foot.heard(recording.began + item.end_ms);
  }

  #warned(event) {
    if (this.#shown?.consultation.outcome || NO_NOTE.has(event.code)) return; // it is told where the consultation is described
    const said = notify(explain(new Problem(0, event.code, event.message)), event.type === "error" ? "problem" : "said");
    said.dataset.of = this.encounter;
  }

  #ended(consultation) {
    this.#desk.ended(consultation.encounter);
    if (this.#shown?.consultation === consultation) this.#describe(consultation);
  }

  /** How far it is, until it is over. */
  async #describe(consultation, still) {
    const { following } = this.#shown;
    try {
      const { consent } = await this.#api.json(`api/encounters/${consultation.encounter}/consent`);
      await progress(this.#api, consultation.encounter, following.signal, (view) => {
        spokenIn(view.language ?? "");
        this.#note.stands(view.status);
        const facts = [moment(view.created_at), t(`status.${view.status}`)];
        if (consent) facts.push(t("consent.given", { who: consentWord(consent.given_by), how: consentWord(consent.method) }));
        if (["queued", "working"].includes(view.status)) facts.push(`${view.percentage} %`);
        if (view.error) facts.push(explain(new Problem(0, view.error.code, view.error.message)));
        $("consultation-state").textContent = facts.join(" · ");
      }, still);
    } catch {
      // what follows the consultation says so
    }
  }

  // What is done with it

  async #correct(correction) {
    const { consultation } = this.#shown;
    try {
      const { encounter } = consultation;
      const { speakers } = await this.#api.json(`api/encounters/${encounter}/speakers`, { method: "PATCH", json: correction });
      if (this.#shown?.consultation !== consultation) return;
      if (consultation.outcome) consultation.relabel(speakers, correction); // behind the end no events tell of it
      notify(t("transcript.corrected"));
    } catch (problem) {
      this.#tell(problem);
    }
  }

  #evidence(ids) {
    showPanel("transcript"); // before, so that there is something to scroll to
    this.#play(this.#transcript.light(ids));
  }

  /** While somebody talks nothing is played: the microphone would hear it. */
  #play(items) {
    const timed = items.filter((item) => item.end_ms - item.start_ms > 1);
    if (!timed.length) return;
    if (this.#desk.recording?.state === "recording") notify(t("player.recording"));
    else this.#player.play(this.encounter, timed);
  }
}

/** On a narrow screen either transcript or note is shown. */
function showPanel(name) {
  $("panels").dataset.shown = name;
  for (const tab of document.querySelectorAll("[data-panel]")) tab.setAttribute("aria-pressed", String(tab.dataset.panel === name));
}

/** So that a screen reader pronounces it. */
function spokenIn(language) {
  for (const id of ["items", "partials", "note-body"]) $(id).lang = language;
}

/** What the form stores, in the reader's language; what somebody typed, as it is. */
function consentWord(stored) {
  const option = [...document.querySelectorAll(".consent option")].find(({ value }) => value === stored);
  return option?.textContent ?? stored;
}

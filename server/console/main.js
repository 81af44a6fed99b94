// The console: which view is shown, and what goes on between the views, the recording and the server.

import { Api, Problem } from "./api.js";
import { ask, notify } from "./ask.js";
import { openMicrophone, openTab, Source } from "./capture.js";
import { Consultation } from "./consultation.js";
import { $, fill, showOnly } from "./dom.js";
import { follow } from "./events.js";
import { Foot } from "./foot.js";
import { NoteView } from "./note.js";
import { Past } from "./past.js";
import { Player } from "./player.js";
import { forgetKept, keptRecording, Recording, reopen } from "./recording.js";
import { RecordingBar } from "./recording_bar.js";
import { StartForm } from "./start.js";
import { explain, language, LANGUAGES, load, moment, t } from "./texts.js";
import { Transcript } from "./transcript.js";
import { progress, sendFiles, sendText } from "./upload.js";

const NO_NOTE = new Set(["transcript_too_short", "no_speech", "note_language_unsupported"]); // the note says so itself
const VIEWS = ["sign-in", "start", "session", "past"].map($);
const root = new URL("../", location.href);

const api = new Api(root, signInAgain);
const foot = new Foot();
const bar = new RecordingBar({ onstop: finish, onproblem: tell, onshow: () => go(`c/${recording.encounter}`), oncome: comeBack, onleave: leaveIt });
const player = new Player(api);
const transcript = new Transcript({ oncorrect: correct, onplay: (item) => player.play(shown.consultation.encounter, [item]) });
const note = new NoteView(api, { onevidence: evidence, ask, notify });
const past = new Past(api, { onopen: (encounter) => go(`c/${encounter}`), onerase: erase });
const start = new StartForm(begin);

let capabilities = null;
let recording = null; // what this page records; it goes on whatever is shown
let shown = null; // the consultation that is shown: {consultation, following}
let uploading = false;

// Signing in

let signedInAgain = null;

/** A token has expired, and the key is not known any more: what goes on goes on, and waits. */
function signInAgain() {
  return new Promise((resolve) => {
    signedInAgain = resolve;
    $("sign-in-why").textContent = t("sign_in.expired");
    $("again").showModal();
    $("again").append($("sign-in-form"));
    $("key").focus();
  });
}

$("again").addEventListener("cancel", (event) => event.preventDefault()); // nothing can be done without it
$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = $("sign-in-problem");
  problem.textContent = "";
  try {
    await api.signIn($("key").value.trim());
  } catch (error) {
    problem.textContent = error.status === 401 ? t("sign_in.wrong") : explain(error);
    return $("key").select();
  }
  $("key").value = "";
  if (signedInAgain) {
    $("again").close();
    signedInAgain();
    signedInAgain = null;
    return;
  }
  await enter();
});

$("sign-out").addEventListener("click", async () => {
  if (busy() && !(await ask({ title: t("leave.title"), text: t("leave.text"), yes: t("leave.yes") }))) return;
  recording?.abandon();
  leaving = true; // it was asked already
  api.signOut();
  location.replace(new URL("./", location.href)); // nothing of what was read stays in memory
});

/** Somebody has signed in. */
async function enter() {
  try {
    capabilities = await api.json(`api/capabilities?language=${language}`);
  } catch (problem) {
    $("sign-in-problem").textContent = explain(problem);
    return show("sign-in");
  }
  $("navigation").hidden = false;
  start.offer(capabilities);
  note.offer(capabilities.templates);
  foot.offer(capabilities);
  const kept = keptRecording();
  if (kept) await comeBack(kept);
  else route();
}

// Views, by the address's fragment

function go(where) {
  if (location.hash === `#${where}`) route();
  else location.hash = where;
}

addEventListener("hashchange", route);

async function route() {
  if (!capabilities) return show("sign-in");
  const [, view, encounter] = location.hash.match(/^#(\w+)(?:\/([0-9a-f]+))?$/) ?? [];
  if (note.unsaved && !(await ask({ title: t("unsaved.title"), text: t("unsaved.text"), yes: t("unsaved.yes") }))) return;
  if (view === "c" && encounter) return openConsultation(encounter);
  close();
  if (view === "past") {
    show("past");
    return past.show();
  }
  start.show();
  show("start");
}

function show(name) {
  showOnly($(name), VIEWS);
  for (const link of document.querySelectorAll("#navigation a")) {
    if (link.hash === `#${name === "start" ? "new" : name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  bar.shows(shown?.consultation.encounter ?? null);
  document.title = name === "session" && recording ? `● ${t("title")}` : t("title");
}

// Beginning

async function begin(wanted) {
  if (recording) return notify(t("start.one_already"), "problem");
  start.busy(true);
  try {
    if (wanted.source === "typed") await beginTyped(wanted);
    else if (wanted.source === "file") await beginFiles(wanted);
    else await beginRecording(wanted);
    start.clear();
  } catch (error) {
    tell(error);
  }
  start.busy(false);
}

async function beginRecording({ source, device, own, options, consent, way }) {
  const sources = [];
  try {
    if (source === "tab") sources.push(new Source("tab", own ? "patient" : "unspecified", await openTab()));
    if (source === "microphone" || own) {
      sources.push(new Source("microphone", source === "tab" ? "doctor" : "unspecified", await openMicrophone(device)));
    }
    sources.sort((one, other) => one.role.localeCompare(other.role)); // the doctor is the first of two
    await record(new Recording(api, sources, { options, consent, way }));
  } catch (error) {
    recording?.abandon();
    recording = null;
    for (const each of sources) each.close();
    bar.show(null);
    throw error;
  }
}

/** Record, and show it. Raises `Problem`, DOMException. */
async function record(made) {
  recording = made;
  foot.forget();
  made.onchange = recordingChanged;
  made.onproblem = tell;
  bar.show(made);
  await made.start();
  go(`c/${await made.opened}`);
}

function recordingChanged(changed) {
  bar.update();
  foot.connection(changed.connected, changed.state === "over" ? null : changed.way);
  if (changed.state !== "over" || changed !== recording) return;
  recording = null;
  bar.show(null);
  foot.connection(navigator.onLine);
  document.title = t("title");
}

async function finish() {
  try {
    await recording?.stop();
  } catch (problem) {
    tell(problem);
  }
}

async function beginTyped({ typed, options }) {
  go(`c/${await sendText(api, typed, options)}`);
}

async function beginFiles({ files, options, consent }) {
  uploading = true;
  try {
    const encounter = await sendFiles(api, files, options, consent, (share) => {
      $("upload").hidden = false;
      $("upload-bar").value = share;
      $("upload-state").textContent = t(share < 1 ? "upload.sending" : "upload.storing", { percent: Math.floor(share * 100) });
    });
    go(`c/${encounter}`);
  } finally {
    uploading = false;
    $("upload").hidden = true;
  }
}

// Coming back behind a reload

async function comeBack(kept = keptRecording()) {
  try {
    await record(await reopen(api, kept));
  } catch (error) {
    recording?.abandon();
    recording = null;
    const over = error instanceof Problem && [404, 409].includes(error.status);
    if (!over && !(error instanceof Problem && error.code === "already_final")) {
      sessionStorage.setItem("auscult.recording", JSON.stringify(kept)); // to be tried again
      bar.offerToComeBack(kept, t("back.interrupted", { why: explain(error) }));
    }
    go(`c/${kept.encounter}`);
  }
}

/** The recording that was interrupted is not taken up again: the server ends it by itself. */
function leaveIt() {
  forgetKept();
  bar.show(null);
  notify(t("back.left", { minutes: Math.ceil(capabilities.limits.reconnect_timeout_s / 60) }));
}

// A consultation

async function openConsultation(encounter) {
  if (shown?.consultation.encounter === encounter) return show("session");
  close();
  const mine = recording?.encounter === encounter;
  const consultation = new Consultation(encounter);
  const following = new AbortController();
  shown = { consultation, following };
  transcript.show(consultation);
  $("consultation-state").textContent = t(mine ? "status.live" : "past.loading");
  consultation.show({ onfinal: (item) => mine && foot.heard(recording ? recording.began + item.end_ms : NaN), onerror: warned, ondone: () => ended(consultation) });
  note.show(consultation, { live: mine, template: mine ? recording.template : null });
  spokenIn(mine ? recording.language : "");
  show("session");
  showPanel(mine ? "transcript" : "note");
  if (!mine) describe(consultation);
  const onstate = (state) => state !== "over" && !recording && foot.connection(state === "told");
  try {
    await follow(api, encounter, { onevent: (event) => consultation.hear(event), onstate, signal: following.signal });
  } catch (problem) {
    if (problem.status === 404) {
      if (recording?.encounter === encounter) recording.abandon();
      notify(t("consultation.gone"), "problem");
      go("past");
    } else {
      tell(problem);
    }
  }
}

/** Again, in another language of the page. */
function rewrite(consultation) {
  transcript.write();
  note.write();
  if (recording?.encounter === consultation.encounter) $("consultation-state").textContent = t("status.live");
  else if (consultation.outcome) describe(consultation); // else what asks how far it is says so soon
}

/** So that a screen reader pronounces it. */
function spokenIn(language) {
  for (const id of ["items", "partials", "note-body"]) $(id).lang = language;
}

/** How far it is, until it is over. */
async function describe(consultation) {
  const { following } = shown;
  try {
    const { consent } = await api.json(`api/encounters/${consultation.encounter}/consent`);
    await progress(api, consultation.encounter, following.signal, (view) => {
      spokenIn(view.language ?? "");
      if (shown?.consultation === consultation) note.goesOn(view.status === "live");
      const facts = [moment(view.created_at), t(`status.${view.status}`)];
      if (consent) facts.push(t("consent.given", { who: consentWord(consent.given_by), how: consentWord(consent.method) }));
      if (["queued", "working"].includes(view.status)) facts.push(`${view.percentage} %`);
      $("consultation-state").textContent = facts.join(" · ");
      if (view.error) $("consultation-state").textContent += ` · ${explain(new Problem(0, view.error.code, view.error.message))}`;
    });
  } catch {
    // what follows the consultation says so
  }
}

/** What the form stores, in the reader's language; what somebody typed, as it is. */
function consentWord(stored) {
  const option = [...document.querySelectorAll(".consent option")].find(({ value }) => value === stored);
  return option?.textContent ?? stored;
}

function ended(consultation) {
  if (recording?.encounter === consultation.encounter && recording.state !== "ending") recording.abandon();
  if (shown?.consultation === consultation) describe(consultation);
}

function close() {
  for (const said of $("notices").querySelectorAll(".problem")) said.remove(); // they were about what is left now
  shown?.following.abort();
  shown = null;
  player.stop();
}

function warned(event) {
  if (shown?.consultation.outcome || NO_NOTE.has(event.code)) return; // it is told where the consultation is described
  notify(explain(new Problem(0, event.code, event.message)), event.type === "error" ? "problem" : "said");
}

async function correct(correction) {
  const { encounter } = shown.consultation;
  try {
    const { speakers } = await api.json(`api/encounters/${encounter}/speakers`, { method: "PATCH", json: correction });
    if (shown?.consultation.encounter === encounter && shown.consultation.outcome) relabel(shown.consultation, speakers, correction);
    notify(t("transcript.corrected"));
  } catch (problem) {
    tell(problem);
  }
}

/** Behind the end no events tell of it. */
function relabel(consultation, speakers, { swap }) {
  for (const [speaker_id, former] of consultation.speakers()) {
    const now = speakers.find((each) => each.speaker_id === speaker_id);
    const speaker = now?.speaker ?? (swap ? { doctor: "patient", patient: "doctor" }[former] ?? former : former);
    const items = consultation.items.filter((item) => item.speaker_id === speaker_id).map(({ id }) => id);
    consultation.hear({ type: "speaker_renamed", speaker_id, speaker, items });
  }
}

// Evidence

player.onplaying = (item) => transcript.playing(item);
player.onproblem = (problem) => notify(problem.status === 404 ? t("error.audio_none") : explain(problem), "problem");

function evidence(ids) {
  const items = transcript.light(ids);
  showPanel("transcript");
  const timed = items.filter((item) => item.end_ms - item.start_ms > 1);
  if (timed.length) player.play(shown.consultation.encounter, timed);
}

addEventListener("keydown", (event) => event.key === "Escape" && player.stop());

async function erase(encounter) {
  if (!(await ask({ title: t("erase.title"), text: t("erase.text"), yes: t("erase.yes"), grave: true }))) return false;
  try {
    await api.ask(`api/encounters/${encounter}`, { method: "DELETE" });
  } catch (problem) {
    if (problem.status !== 404) return tell(problem), false;
  }
  if (recording?.encounter === encounter) recording.abandon();
  notify(t("erase.done"));
  return true;
}

$("erase").addEventListener("click", async () => {
  if (await erase(shown.consultation.encounter)) go("past");
});

// On a narrow screen either transcript or note is shown

function showPanel(name) {
  $("panels").dataset.shown = name;
  for (const tab of document.querySelectorAll("[data-panel]")) tab.setAttribute("aria-pressed", String(tab.dataset.panel === name));
}

for (const tab of document.querySelectorAll("[data-panel]")) tab.addEventListener("click", () => showPanel(tab.dataset.panel));

// The page itself

function tell(error) {
  if (error instanceof Problem || error instanceof DOMException || error.name === "NoTabAudio") return void notify(explain(error), "problem");
  notify(explain(error), "problem");
  throw error;
}

let leaving = false;

const busy = () => recording !== null || uploading || note.unsaved;

addEventListener("beforeunload", (event) => {
  if (busy() && !leaving) event.preventDefault();
});
addEventListener("offline", () => foot.connection(false, recording?.way ?? null));
addEventListener("online", () => recording || foot.connection(true));

fill($("language"), Object.entries(LANGUAGES));
$("language").addEventListener("change", async ({ target }) => {
  await load(target.value);
  foot.write();
  bar.update();
  if (capabilities) start.show();
  if (location.hash === "#past") past.show();
  if (shown) rewrite(shown.consultation);
});

await load();
$("language").value = language;
if (api.signedIn) await enter();
else show("sign-in");
document.documentElement.dataset.ready = "";

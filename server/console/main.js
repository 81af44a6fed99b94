// The console: signing in, which view is shown, and the page itself.

import { Api, Problem } from "./api.js";
import { ask, notify } from "./ask.js";
import { ConsultationView } from "./consultation_view.js";
import { Desk } from "./desk.js";
import { $, fill, refocus, showOnly } from "./dom.js";
import { Foot } from "./foot.js";
import { forget, kept } from "./kept.js";
import { Past } from "./past.js";
import { Pauses, sleep } from "./pauses.js";
import { StartForm } from "./start.js";
import { explain, language, LANGUAGES, load, t } from "./texts.js";

const VIEWS = ["sign-in", "start", "session", "past"].map($);

const LOOK_MS = 20_000; // between two looks whether the server is there, while nothing else tells

const api = new Api(new URL("../", location.href), signInAgain, (online) => desk.recording || foot.connection(online));
const foot = new Foot();
const start = new StartForm((wanted) => desk.begin(wanted));
const desk = new Desk(api, { foot, start, go, tell, onback: () => view.renew(), onrecording: () => view.hush(), onfinished: (encounter) => view.finished(encounter) });
const view = new ConsultationView(api, { desk, foot, go, tell });
const past = new Past(api, { onopen: (encounter) => go(`c/${encounter}`), onerase: (encounter) => view.erase(encounter) });

let capabilities = null;
let leaving = false; // it was asked already

// Signing in

let signedInAgain = null;

/** A token has expired, and the key is not known any more: what goes on goes on, and waits. */
function signInAgain() {
  return new Promise((resolve) => {
    signedInAgain = resolve;
    $("sign-in-why").textContent = t("sign_in.expired");
    $("again").append($("sign-in-why"), $("sign-in-form"));
    $("sign-out-instead").hidden = false;
    $("again").showModal();
    $("key").focus();
  });
}

// Nothing can be done without it; browsers close a dialog at the second press of Escape all the same.
$("again").addEventListener("cancel", (event) => event.preventDefault());
$("again").addEventListener("close", () => signedInAgain && $("again").showModal());

$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("sign-in-problem").textContent = "";
  const go = $("sign-in-form").querySelector("[type=submit]");
  go.disabled = true; // pressed twice, it would enter twice
  try {
    const same = await api.signIn($("key").value.trim(), !(signedInAgain && busy()));
    $("key").value = "";
    if (!same && busy()) return void ($("sign-in-problem").textContent = t("sign_in.other_key"));
    if (!signedInAgain) return await enter();
    if (!same) return leave(); // what is shown is another's: begin anew
    const resolve = signedInAgain;
    signedInAgain = null;
    $("again").close();
    $("sign-out-instead").hidden = true;
    $("sign-in").append($("sign-in-why"), $("sign-in-form"));
    resolve();
  } catch (error) {
    $("sign-in-problem").textContent = error.status === 401 ? t("sign_in.wrong") : explain(error);
    $("key").select();
  } finally {
    go.disabled = false;
  }
});

for (const id of ["sign-out", "sign-out-instead"]) $(id).addEventListener("click", async () => {
  if ((busy() || kept()) && !(await ask({ title: t("leave.title"), text: t("leave.text"), yes: t("leave.yes") }))) return;
  desk.recording?.abandon(new Problem(0, "closed")); // it is not to be taken up again
  api.signOut();
  leave();
});

/** Nothing of what was read stays in memory, and nothing of what was recorded in the tab. */
function leave() {
  leaving = true;
  forget();
  history.replaceState(null, "", "#new");
  location.reload();
}

/** Somebody has signed in. Raises `Problem`. */
async function enter() {
  capabilities = await offered();
  $("navigation").hidden = false;
  for (const part of [start, view, foot, desk]) part.offer(capabilities);
  const what = kept();
  if (what) desk.comeBack(what);
  else route();
}

/** What the server can do; where it is away, it is waited for. Raises `Problem`. */
async function offered() {
  for (const pauses = new Pauses(); ; await sleep(pauses.next())) {
    try {
      return await api.json(`api/capabilities?language=${language}`);
    } catch (problem) {
      if (problem instanceof Problem && !problem.passes) throw problem;
      $("sign-in-problem").textContent = explain(problem);
      show("sign-in");
    }
  }
}

// Views, by the address's fragment

function go(where) {
  if (location.hash === `#${where}`) route();
  else location.hash = where;
}

addEventListener("hashchange", route);
$("navigation").addEventListener("click", ({ target }) => target.hash && target.hash === location.hash && route()); // again

let turn = 0;

async function route() {
  const mine = ++turn;
  if (!capabilities) return show("sign-in");
  if ($("ask").open) $("ask").close(); // what was asked was about another view
  const [, name, encounter] = location.hash.match(/^#(\w+)(?:\/([0-9a-f]+))?$/) ?? [];
  if (encounter !== view.encounter && view.unsaved) {
    const there = `#c/${view.encounter}`;
    const leaves = await ask({ title: t("unsaved.title"), text: t("unsaved.text"), yes: t("unsaved.yes") });
    if (mine !== turn) return; // somewhere else was gone meanwhile
    if (!leaves) return history.replaceState(null, "", there);
  }
  if (name === "c" && encounter) {
    view.open(encounter);
    return show("session");
  }
  view.close();
  if (name === "past") {
    show("past");
    return past.show();
  }
  start.show();
  show("start");
}

function show(name) {
  const former = VIEWS.find((each) => !each.hidden);
  showOnly($(name), VIEWS);
  if (former && former.id !== name) refocus($("main")); // where what had the focus is no longer there
  for (const link of document.querySelectorAll("#navigation a")) {
    if (link.hash === `#${name === "start" ? "new" : name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  desk.shows(view.encounter);
}

// The page itself

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // its fragment is no view
  $("main").focus();
});

/** What went wrong, and what to do. What is a fault of the page is thrown on, so that it shows in the browser's console. */
function tell(error) {
  notify(explain(error), "problem");
  if (!(error instanceof Problem || error instanceof DOMException || error.name === "NoTabAudio")) throw error;
}

const busy = () => desk.recording !== null || desk.uploading || view.unsaved || start.typed;

addEventListener("beforeunload", (event) => {
  if (!busy() || leaving) return;
  event.preventDefault();
  event.returnValue = true; // for browsers of before 2024
});
addEventListener("offline", () => foot.connection(false, desk.recording?.way ?? null));
addEventListener("online", look);
setInterval(look, LOOK_MS);

/** Whether the server answers, for the foot line. */
function look() {
  if (capabilities && !document.hidden && !desk.recording && api.signedIn) api.json("api/capabilities").catch(() => {});
}

fill($("language"), Object.entries(LANGUAGES));
$("language").addEventListener("change", async ({ target }) => {
  try {
    await load(target.value);
    for (const part of [foot, desk, view]) part.write();
    if (!capabilities) return;
    capabilities = await api.json(`api/capabilities?language=${language}`);
    for (const part of [start, view]) part.offer(capabilities);
    if (location.hash === "#past") past.show();
  } catch (error) {
    target.value = language;
    tell(error);
  }
});

await load();
$("language").value = language;
document.documentElement.dataset.ready = "";
if (!api.signedIn) show("sign-in");
else {
  await enter().catch((problem) => {
    $("sign-in-problem").textContent = explain(problem);
    show("sign-in");
  });
}

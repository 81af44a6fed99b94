// What outlives a reload: which consultation is being recorded, and by which way. It lies in the tab's session storage; no
// word that was said is in it.

const PLACE = "auscult.recording";
const HELD_MS = 600_000; // behind that nobody waits for its sound any more: a tab that is restored the next day stays silent

export function keep(what) {
  sessionStorage.setItem(PLACE, JSON.stringify({ ...what, at: Date.now() }));
}

/** What a page that was loaded again should go on with; null: nothing. */
export function kept() {
  const what = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
  return what && Date.now() - what.at < HELD_MS ? what : null;
}

export function forget() {
  sessionStorage.removeItem(PLACE);
}

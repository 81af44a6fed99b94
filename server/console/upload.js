// What was recorded or written down before: files, and typed transcripts, on their way to the server.

import { Problem } from "./api.js";
import { OUTCOMES } from "./consultation.js";
import { sleep } from "./pauses.js";

const LOOK_MS = 1500;
const STILL = new Set(["live", ...OUTCOMES]); // events tell when a live one is over

/** A transcript as text, whose note is written; the encounter. Raises `Problem`. */
export async function sendText(api, { typed: transcript, options, key }) {
  const headers = { "Idempotency-Key": key };
  const { expected_speakers, ...wishes } = options; // they are named in the text
  const answer = await api.json("api/encounters", { method: "POST", headers, json: { ...wishes, transcript } });
  return answer.encounter_id;
}

/** Files that are one recording; the encounter. `onshare` gets what is sent of them, 0 to 1. Raises `Problem`. */
export async function sendFiles(api, { files, options, consent, key }, onshare) {
  const form = new FormData();
  form.append("options", JSON.stringify({ ...options, consent }));
  for (const file of files) form.append("audio", file);
  const headers = { Authorization: `Bearer ${await api.token()}`, "Idempotency-Key": key };
  const { status, text } = await post(api.url("api/recordings"), headers, form, onshare);
  const answer = parsed(text);
  if (status === 202) return answer.encounter_id;
  throw new Problem(status, answer.code ?? `http_${status}`, answer.detail);
}

/** fetch tells nothing of how much is sent. */
function post(url, headers, form, onshare) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total, lengthComputable }) => lengthComputable && onshare(loaded / total);
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = () => reject(new Problem(0, "offline"));
    request.send(form);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** Tell how far an encounter is, until its status is one of `still`. Raises `Problem`. */
export async function progress(api, encounter, signal, onview, still = STILL) {
  while (!signal.aborted) {
    const view = await api.json(`api/encounters/${encounter}`, { signal });
    if (!signal.aborted) onview(view);
    if (still.has(view.status)) return;
    await sleep(LOOK_MS, signal);
  }
}

// What is told of a consultation, by Server-Sent Events that are read with fetch: the token goes in a header, and never
// into an address, as it would have to with EventSource.

import { Problem } from "./api.js";
import { Pauses, sleep } from "./pauses.js";

const DEAF_MS = 40_000; // the server says something every 15 s
const PASSING = new Set(["session_lost", "token_expired"]); // errors of the connection, not of the consultation

/** Follow an encounter until everything is told: `onevent` gets each event, `onstate` "told", "silent" or "over".
 *  A connection that breaks is made again, behind what was told, and so is one when `renewal` says "renew". Raises `Problem`
 *  where there is no such encounter. */
export async function follow(api, encounter, { onevent, onstate = () => {}, signal, renewal = new EventTarget() }) {
  const pauses = new Pauses();
  const told = { last: "", done: false };
  while (!told.done && !signal.aborted) {
    try {
      await listen(api, encounter, told, { onevent, onstate, signal, renewal, heard: () => pauses.reset() });
    } catch (problem) {
      if (signal.aborted) return;
      if (problem instanceof Problem && !problem.passes) throw problem;
    }
    if (told.done || signal.aborted) break;
    onstate("silent");
    await sleep(pauses.next(), signal);
  }
  if (!signal.aborted) onstate("over");
}

async function listen(api, encounter, told, { onevent, onstate, signal, renewal, heard }) {
  const connection = new AbortController();
  const abort = () => connection.abort();
  signal.addEventListener("abort", abort, { once: true });
  addEventListener("online", abort); // the network was away: what stood before may be dead, and nobody told us
  renewal.addEventListener("renew", abort);
  let deaf;
  const waiting = () => (clearTimeout(deaf), (deaf = setTimeout(abort, DEAF_MS)));
  try {
    waiting();
    const headers = told.last ? { "Last-Event-ID": told.last } : {};
    const answer = await api.ask(`api/encounters/${encounter}/events?drafts=true`, { headers, signal: connection.signal });
    if (answer.status === 204) return void (told.done = true);
    onstate("told");
    heard();
    let rest = "";
    for await (const text of pieces(answer.body.pipeThrough(new TextDecoderStream()))) {
      waiting();
      const frames = (rest + text).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) tell(frame, told, onevent);
      if (told.done) return;
    }
  } finally {
    clearTimeout(deaf);
    signal.removeEventListener("abort", abort);
    removeEventListener("online", abort);
    renewal.removeEventListener("renew", abort);
    connection.abort();
  }
}

function tell(frame, told, onevent) {
  let data = "";
  for (const line of frame.split("\n")) {
    if (line.startsWith("id: ")) told.last = line.slice(4);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (!data) return; // a comment, by which the connection is kept
  const event = JSON.parse(data);
  if (event.type === "error" && PASSING.has(event.code)) return;
  told.done = event.type === "done";
  onevent(event);
}

/** Not every browser lets a stream be iterated. */
async function* pieces(stream) {
  const reader = stream.getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    reader.releaseLock();
  }
}

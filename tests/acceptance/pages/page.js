// The form of a page, and the transcript as it grows. Options are the query: ?{"language":"en"}

const form = document.forms[0];
const transcript = document.querySelector("#transcript");
const lines = new Map(); // id → <li>

export function run(make) {
  const options = JSON.parse(decodeURIComponent(location.search.slice(1)) || "{}");
  window.events = []; // everything that was told, for whoever looks on
  form.onsubmit = async (submitted) => {
    submitted.preventDefault();
    const where = { server: form.server.value, token: form.token.value, options };
    const session = (window.session = make({ ...where, onevent: show }));
    session.done.then(say, say);
    form.start.disabled = true;
    await session.start().then(() => say("started"), say);
    window.begun = performance.now(); // the microphone was there a little earlier
    form.stop.disabled = false;
  };
  form.stop.onclick = () => {
    form.stop.disabled = true;
    window.session.stop().catch(say);
  };
}

function show(event) {
  window.events.push({ ...event, at: performance.now() });
  if (event.type === "withdrawn") lines.get(event.id)?.remove();
  if (event.type !== "partial" && event.type !== "final") return;
  if (!lines.has(event.id)) {
    lines.set(event.id, document.createElement("li"));
    transcript.append(lines.get(event.id));
  }
  const line = lines.get(event.id);
  line.className = event.type;
  line.textContent = `${event.speaker}: ${event.text}`;
}

function say(what) {
  document.querySelector("#state").textContent = String(what);
}

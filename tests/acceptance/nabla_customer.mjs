// A customer of Nabla in JavaScript: a file is heard, and a note written of what was said or of what was typed.
// Arguments: base URL, key, audio file, JSON of transcript items. Prints one JSON object.
import { readFile } from "node:fs/promises";

const [url, key, file, typed] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${key}` };
const wanted = { output_objects: ["transcript_item"], language: "en-US", split_by_sentence: true };

const form = new FormData();
form.append("request_parameters", new Blob([JSON.stringify(wanted)], { type: "application/json" }));
form.append("file", new Blob([await readFile(file)], { type: "audio/webm;codecs=opus" }), "recording.webm");
const heard = await fetch(`${url}/listen`, { method: "POST", headers, body: form });
if (!heard.ok) throw new Error((await heard.json()).message);
const { transcript } = await heard.json();

const digest = async (items) => {
  const response = await fetch(`${url}/digest`, {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify({ output_objects: ["note"], language: "en-US", note_template: "SOAP", transcript_items: items }),
  });
  const data = await response.json();
  return response.ok ? data.note.sections.map(({ title, text }) => `${title}: ${text}`) : data.message;
};

const sorted = transcript.toSorted((one, other) => one.start_offset_ms - other.start_offset_ms);
const spoken = sorted.map(({ text, speaker }) => ({ text, speaker }));
console.log(JSON.stringify({ transcript, ofSpeech: await digest(spoken), ofText: await digest(JSON.parse(typed)) }));

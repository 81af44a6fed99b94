// The vendor's examples for Node, by behaviour: upload and poll; the stream by hand, and with eventsource-parser 1.x.
// node soapnoteapi.mjs URL KEY RECORDING TRANSCRIPT prints what each got, as JSON.

import { readFile } from "fs/promises";
import { createParser } from "eventsource-parser";

const [url, key, recording, transcript] = process.argv.slice(2);

async function upload() {
  const audioBuffer = await readFile(recording);
  const formData = new FormData();
  formData.append("audio", new Blob([audioBuffer], { type: "audio/mpeg" }), "encounter-recording.mp3");
  formData.append("metadata", JSON.stringify({
    specialty: "nurse_practitioner",
    include_billing_codes: true,
    context: { patient_info: { name: "Maria Santos", age: 62, gender: "female" } },
  }));
  const response = await fetch(`${url}/v1/note/audio`, {
    method: "PUT",
    headers: { "Authorization": `Bearer ${key}` },
    body: formData,
  });
  const { noteId } = await response.json();
  return noteId;
}

async function waitForNote(noteId) {
  const maxAttempts = 600;
  for (let i = 0; i < maxAttempts; i++) {
    const response = await fetch(`${url}/v1/audio/status/${noteId}`, { headers: { "Authorization": `Bearer ${key}` } });
    const data = await response.json();
    if (data.status === "completed") return data.note;
    if (data.status === "failed") throw new Error("Audio processing failed");
    await new Promise((r) => setTimeout(r, 100));
  }
  throw new Error("Timeout waiting for audio processing");
}

function stream() {
  return fetch(`${url}/v1/stream/note`, {
    method: "POST",
    headers: {
      "Authorization": `Bearer ${key}`,
      "Content-Type": "application/json",
      "Accept": "text/event-stream",
    },
    body: JSON.stringify({ transcript, specialty: "primary_care_physician" }),
  });
}

async function streamedByHand() {
  const response = await stream();
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let noteText = "";
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    const chunk = decoder.decode(value, { stream: true });
    const lines = chunk.split("\n");
    for (const line of lines) {
      if (line.startsWith("data: ")) {
        const data = line.slice(6);
        if (data === "[DONE]") return noteText;
        try {
          const parsed = JSON.parse(data);
          noteText += parsed.content;
        } catch {
          // Skip malformed lines
        }
      }
    }
  }
  return noteText;
}

async function streamedByParser() {
  const response = await stream();
  let fullNote = "";
  let complete = false;
  const parser = createParser((event) => {
    if (event.type === "event") {
      if (event.data === "[DONE]") {
        complete = true;
        return;
      }
      const { content } = JSON.parse(event.data);
      fullNote += content;
    }
  });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  while (true) {
    const { done, value } = await reader.read();
    if (done) break;
    parser.feed(decoder.decode(value, { stream: true }));
  }
  return complete ? fullNote : null;
}

const note = await waitForNote(await upload());
console.log(JSON.stringify({ note, byHand: await streamedByHand(), byParser: await streamedByParser() }));

// The console's parts that need no page: run by node's own test runner, see tests/server/test_console_core.py.

import assert from "node:assert/strict";
import test from "node:test";

const at = (name) => new URL(`../../../server/console/${name}`, import.meta.url);
const { Consultation } = await import(at("consultation.js"));
const { editable, edited, keyOf, lines } = await import(at("note_text.js"));
const { kinds } = await import(at("texts.js"));
const { places } = await import(at("transcript.js"));

const final = (id, start_ms, rest = {}) => ({ type: "final", id, start_ms, end_ms: start_ms + 500, speaker: "unspecified", text: id, ...rest });

function heard(...events) {
  const told = [];
  const consultation = new Consultation("e");
  consultation.show(new Proxy({}, { get: (_, what) => (...about) => told.push([what, ...about]) }));
  for (const event of events) consultation.hear(event);
  return { consultation, told };
}

test("what is told out of order stands in the order in which it was spoken", () => {
  const { consultation, told } = heard(final("a", 0), final("c", 4000), final("b", 2000));
  assert.deepEqual(consultation.items.map(({ id }) => id), ["a", "b", "c"]);
  assert.deepEqual(told.map(([, item, place]) => [item.id, place]), [["a", 0], ["c", 1], ["b", 1]]);
});

test("items without times of their own keep the order in which they came", () => {
  const { consultation } = heard(final("a", 0), final("b", 0), final("c", 0));
  assert.deepEqual(consultation.items.map(({ id }) => id), ["a", "b", "c"]);
});

test("what is told twice stands there once", () => {
  const { consultation, told } = heard(final("a", 0), final("a", 0));
  assert.equal(consultation.items.length, 1);
  assert.equal(told.length, 1);
});

test("a final takes the place of its partial, and a withdrawn partial goes", () => {
  const partial = (id) => ({ type: "partial", id, start_ms: 0, text: "…", committed: 0 });
  const { consultation } = heard(partial("a"), partial("b"), final("a", 0), { type: "withdrawn", id: "b" });
  assert.equal(consultation.partials.size, 0);
  assert.equal(consultation.items.length, 1);
});

test("a renamed speaker's items are renamed, those that are not known yet are passed over", () => {
  const { consultation } = heard(final("a", 0), { type: "speaker_renamed", speaker_id: "s1", speaker: "doctor", items: ["a", "z"] });
  assert.deepEqual([consultation.item("a").speaker, consultation.item("a").speaker_id], ["doctor", "s1"]);
  assert.deepEqual(consultation.speakers(), [["s1", "doctor"]]);
});

test("a draft is the sections that were told last, in the order of its keys", () => {
  const section = (key, text) => ({ key, title: key, text, sentences: [] });
  const draft = (keys, ...sections) => ({ type: "note_draft", title: "T", keys, sections });
  const { consultation } = heard(draft(["S", "P"], section("S", "one"), section("P", "two")), draft(["S"], section("S", "three")));
  assert.deepEqual(consultation.draft.keys, ["S"]);
  assert.equal(consultation.draft.sections.get("S").text, "three");
  assert.equal(consultation.draft.sections.has("P"), false);
});

test("behind the end nothing is provisional any more", () => {
  const { consultation, told } = heard({ type: "partial", id: "a", start_ms: 0, text: "x", committed: 0 }, { type: "done", outcome: "done" });
  assert.equal(consultation.partials.size, 0);
  assert.equal(consultation.outcome, "done");
  assert.deepEqual(told.map(([what]) => what), ["onpartials", "onpartials", "ondone"]);
});

const sentences = (...texts) => texts.map((text, number) => ({ text, items: [`i${number}`] }));

test("a section is laid out as its text says: paragraphs, bullets, headings", () => {
  const paragraph = lines({ text: "One. Two.", sentences: sentences("One.", "Two.") });
  assert.deepEqual(paragraph.map(({ bullet, sentences: run }) => [bullet, run.length]), [[false, 2]]);
  const bullets = lines({ text: "- One.\n- Two.", sentences: sentences("One.", "Two.") });
  assert.deepEqual(bullets.map(({ bullet, sentences: run }) => [bullet, run.length]), [[true, 1], [true, 1]]);
  const problems = lines({ text: "Knee pain\nOne.\n\nCough\nTwo.", sentences: sentences("One.", "Two.") });
  assert.deepEqual(problems.map((line) => line.heading ?? line.sentences[0].text), ["Knee pain", "One.", "Cough", "Two."]);
});

test("no sentence is lost where the text says something else", () => {
  const laid = lines({ text: "Something else.", sentences: sentences("One.", "Two.") });
  assert.deepEqual(laid.flatMap((line) => line.sentences ?? []).map(({ text }) => text), ["One.", "Two."]);
  assert.equal(lines({ text: "Typed.", sentences: [] })[0].sentences[0].text, "Typed.");
});

test("a sentence that was there before rests on what it rested on, also when its words were mended", () => {
  const before = sentences("Reports a bad cough for 2 weeks.", "Takes lisinopril 10 mg daily.");
  const said = edited("Reports a bad cough for 3 weeks.\n- Takes lisinopril 10 mg daily.\n\nNo fever today.", before);
  assert.deepEqual(said, [
    { text: "Reports a bad cough for 3 weeks.", items: ["i0"] },
    { text: "Takes lisinopril 10 mg daily.", items: ["i1"] },
    { text: "No fever today.", items: [] },
  ]);
});

test("two sentences do not rest on one that stood there once", () => {
  const said = edited("Has a cough.\nHas a cough.", sentences("Has a cough."));
  assert.deepEqual(said.map(({ items }) => items), [["i0"], []]);
});

test("what is edited comes back as it was when nothing was changed", () => {
  const before = sentences("One.", "Two.");
  assert.deepEqual(edited(editable({ text: "One. Two.", sentences: before }), before), before);
});

test("a section that is added has a key that no other has", () => {
  assert.equal(keyOf("Sick note", new Set()), "SICK_NOTE");
  assert.equal(keyOf("Sick note", new Set(["SICK_NOTE"])), "SICK_NOTE_2");
  assert.equal(keyOf("Überweisung", new Set()), "UBERWEISUNG");
  assert.equal(keyOf("病假", new Set()), "SECTION");
});

test("words are found wherever they stand, however they are capitalised, and are never read as a pattern", () => {
  assert.deepEqual(places("Fever, and a high FEVER.", "fever"), [[0, 5], [18, 23]]);
  assert.deepEqual(places("İİ a cough", "COUGH"), [[5, 10]]); // where small letters are more than the capital
  assert.deepEqual(places("10 mg (daily) [a+b] c|d /e\\f {2} ^$?*-", "(daily) [a+b] c|d /e\\f {2} ^$?*-"), [[6, 38]]);
  assert.deepEqual(places("anything", "."), []);
});

// The PCM of an AudioWorklet

async function resampled(rate, hertz, seconds, channels = 1) {
  const frames = [];
  globalThis.sampleRate = rate;
  globalThis.AudioWorkletProcessor = class {
    port = { postMessage: (buffer) => frames.push(new Int16Array(buffer.slice(0))) };
  };
  let Processor;
  globalThis.registerProcessor = (_, made) => (Processor = made);
  await import(`${at("pcm.js")}?${rate}-${hertz}-${channels}`);
  const processor = new Processor();
  for (let begin = 0; begin < rate * seconds; begin += 128) {
    const block = Float32Array.from({ length: 128 }, (_, sample) => 0.5 * Math.sin((2 * Math.PI * hertz * (begin + sample)) / rate));
    processor.process([hertz === null ? [] : Array(channels).fill(block)]);
  }
  return frames;
}

const rms = (frames) => {
  const samples = frames.flatMap((frame) => [...frame]).slice(1600); // behind the first, in which the filter begins
  return Math.sqrt(samples.reduce((sum, each) => sum + (each / 32767) ** 2, 0) / samples.length);
};

for (const rate of [48_000, 44_100, 16_000, 96_000]) {
  test(`a tone of ${rate} Hz sound keeps its loudness and its length`, async () => {
    for (const channels of [1, 2]) {
      const frames = await resampled(rate, 440, 2, channels);
      assert.ok(frames.length === 19 || frames.length === 20, `${frames.length} frames`); // of 100 ms
      assert.ok(frames.every((frame) => frame.length === 1600));
      assert.ok(Math.abs(rms(frames) - 0.5 / Math.SQRT2) < 0.01, `${rms(frames)}`);
    }
  });
}

test("a tone keeps its pitch", async () => {
  const samples = (await resampled(44_100, 1000, 2)).flatMap((frame) => [...frame]).slice(1600);
  const crossings = samples.filter((each, place) => place && each >= 0 && samples[place - 1] < 0).length;
  assert.ok(Math.abs(crossings / (samples.length / 16_000) - 1000) < 2, `${crossings}`);
});

test("what 16 kHz cannot hold is not folded into what is heard", async () => {
  assert.ok(rms(await resampled(48_000, 11_000, 1)) < 0.005);
  assert.ok(rms(await resampled(44_100, 10_000, 1)) < 0.005);
});

test("time goes on where nothing is plugged in", async () => {
  const frames = await resampled(48_000, null, 1);
  assert.ok(frames.length >= 9);
  assert.equal(rms(frames), 0);
});

test("kinds of note whose titles are alike are told apart by their names", () => {
  const [soap, long, merged, own] = [{ name: "SOAP", title: "SOAP note" }, { name: "GM", title: "Medicine" }, { name: "GM_AP", title: "Medicine" }, { name: "OWN", title: "" }];
  assert.deepEqual(kinds([soap, long, merged, own]), [["SOAP", "SOAP note"], ["GM", "Medicine (GM)"], ["GM_AP", "Medicine (GM_AP)"], ["OWN", "OWN"]]);
});

// A note's sections as lines to read and to edit, and back. Pure: no page, no network.

const ALIKE = 0.5; // of the words of an edited sentence were there before: it rests on what that one rested on

/** The lines of a section: headings, and runs of sentences, as `text` lays them out. [{heading} | {bullet, sentences}] */
export function lines({ text, sentences }) {
  const laid = [];
  let at = 0;
  let run = null;
  for (const sentence of sentences) {
    const found = text.indexOf(sentence.text, at);
    const between = found < 0 ? "" : text.slice(at, found);
    const headings = between.split("\n").map((line) => line.replace(/^-\s*$/, "").trim()).filter(Boolean);
    const bullet = /(^|\n)-\s*$/.test(between);
    for (const heading of headings) laid.push({ heading: heading.replace(/:$/, "") });
    if (!run || headings.length || bullet || between.includes("\n")) laid.push((run = { bullet, sentences: [] }));
    run.sentences.push(sentence);
    if (found >= 0) at = found + sentence.text.length;
  }
  if (!sentences.length && text.trim()) laid.push({ bullet: false, sentences: [{ text: text.trim(), items: [] }] });
  return laid;
}

/** What is edited: a sentence on each line. */
export function editable({ text, sentences }) {
  return sentences.length ? sentences.map((sentence) => sentence.text).join("\n") : text.trim();
}

/** The sentences that lines say. Those that were there before, or are much like one, rest on the same items. */
export function edited(text, before) {
  const rest = [...before];
  const take = (at) => (at < 0 ? [] : rest.splice(at, 1)[0].items);
  const said = text.split("\n").map((line) => line.replace(/^\s*[-•]\s*/, "").trim()).filter(Boolean);
  const sentences = said.map((line) => ({ text: line, items: null }));
  for (const sentence of sentences) {
    const at = rest.findIndex((each) => each.text === sentence.text);
    if (at >= 0) sentence.items = take(at);
  }
  for (const sentence of sentences) sentence.items ??= take(mostAlike(sentence.text, rest));
  return sentences;
}

function mostAlike(text, sentences) {
  const words = wordsOf(text);
  const shares = sentences.map((each) => share(words, wordsOf(each.text)));
  const most = Math.max(0, ...shares);
  return most >= ALIKE ? shares.indexOf(most) : -1;
}

const wordsOf = (text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);

function share(words, others) {
  return words.size ? [...words].filter((word) => others.has(word)).length / words.size : 0;
}

/** A key for a section that a provider adds: Latin capitals, as keys are. */
export function keyOf(title, taken) {
  const plain = title.normalize("NFKD").replace(/\p{M}/gu, "").replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "").toUpperCase().slice(0, 60) || "SECTION";
  let key = plain;
  for (let number = 2; taken.has(key); number++) key = `${plain}_${number}`;
  return key;
}

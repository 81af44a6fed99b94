// The page's words, in the language of whoever reads it: one file for each language, texts.LANGUAGE.js.

import { Problem } from "./api.js";

export const LANGUAGES = { de: "Deutsch", en: "English", fr: "Français" };
const CHOSEN = "auscult.language";
const PLACES = { t: null, tLabel: "aria-label", tPlaceholder: "placeholder", tTitle: "title" }; // data-… → attribute

let texts = {};
export let language = "en";

/** Load the words of a language, or those of the one that was chosen or the browser prefers; write them into the page.
 *  Raises `Problem`: then the page stays as it is. */
export async function load(wanted) {
  const known = [wanted, localStorage.getItem(CHOSEN), ...navigator.languages.map((tag) => tag.split("-")[0])];
  const found = known.find((tag) => tag in LANGUAGES) ?? "en";
  texts = await read(found);
  language = found;
  if (wanted) localStorage.setItem(CHOSEN, language);
  document.documentElement.lang = language;
  write(document.body);
}

async function read(tag) {
  try {
    return (await import(`./texts.${tag}.js`)).default;
  } catch {
    throw new Problem(0, "offline");
  }
}

/** A text, with what stands in its {braces}. */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const has = (key) => key in texts;

/** Write the texts into all elements that name one. */
export function write(root) {
  for (const [place, attribute] of Object.entries(PLACES)) {
    const name = `data-${place.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    for (const element of root.querySelectorAll(`[${name}]`)) {
      if (attribute) element.setAttribute(attribute, t(element.dataset[place]));
      else element.textContent = t(element.dataset[place]);
    }
  }
}

/** What went wrong, and what to do: our own words for codes that we know, else what the server said. */
export function explain(error) {
  if (!(error instanceof Problem)) return has(`error.${error.name}`) ? t(`error.${error.name}`) : t("error.unexpected", { name: error.name });
  if (has(`error.${error.code}`)) return t(`error.${error.code}`, { detail: error.detail });
  return error.detail ? t("error.server", { detail: error.detail }) : t("error.status", { code: error.code });
}

/** Who writes or wrote a note, for people. */
export function writerName(generator) {
  return generator.startsWith("model:") ? generator.slice(6) : t(`writer.${generator}`);
}

/** What kinds of note are called: by their titles, and their names, too, where two titles are alike. [[name, title]] */
export function kinds(templates) {
  const alike = (title) => templates.filter((each) => each.title === title).length > 1;
  return templates.map(({ name, title }) => [name, title && alike(title) ? `${title} (${name})` : title || name]);
}

/** 75_000 → "1:15". */
export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A day and a time, as people here write them. */
export function moment(iso) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

/** The name of a language, in the reader's. */
export function languageName(tag) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}

/** 24 → "24 hours" or "1 day", in the reader's language. */
export function hours(number) {
  const [count, unit] = number >= 48 && number % 24 === 0 ? [number / 24, "day"] : [number, "hour"];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(count);
}

/** 0.44 → "0.4", or "0,4". */
export function tenths(number) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(number);
}

// The server's own API. The key is exchanged at once for a short-lived token; it stays in memory, to renew that, and the
// token in the tab's session storage, so that a reload comes back in.

const KEPT = "auscult.token";
const RENEW_AT = 0.7; // of a token's life
const SOONEST_MS = 1000; // between two renewals that failed

/** What the server, or the way to it, said instead of an answer. `code` is the server's; `offline`: nobody answered. */
export class Problem extends Error {
  constructor(status, code, detail = "") {
    super(detail || code);
    Object.assign(this, { status, code, detail });
  }

  /** Whether the same request may well be answered a moment later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export class Api {
  #key = null;
  #token = null;
  #expires = 0; // epoch, ms
  #life = 0; // ms
  #timer = null;
  #asking = null; // a promise, while somebody is asked to sign in again

  /** root: URL of the server; onexpired: asks to sign in again, and resolves when that was done; onreached: gets whether
   *  anybody answered. */
  constructor(root, onexpired, onreached = () => {}) {
    Object.assign(this, { root, onexpired, onreached });
    const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
    if (kept) [this.#token, this.#expires] = [kept.token, kept.expires];
  }

  get signedIn() {
    return this.#token !== null && Date.now() < this.#expires;
  }

  /** Exchange the key for a token; whether it is the key that was used before. Another one is taken where `any` is.
   *  Raises `Problem`. */
  async signIn(key, any = true) {
    const former = this.#token && subject(this.#token);
    const given = await this.#exchange(key);
    const same = former === null || former === subject(given.token);
    if (!same && !any) return false;
    this.#take(given);
    this.#key = key;
    return same;
  }

  /** As far as the key is known: have a token that holds for so long, for what must not be interrupted. */
  async holdFor(seconds) {
    if (!this.#key || this.#expires - Date.now() >= seconds * 1000) return;
    await this.#prolong(Math.floor(seconds)).catch(() => {});
  }

  signOut() {
    clearTimeout(this.#timer);
    this.#key = this.#token = null;
    sessionStorage.removeItem(KEPT);
  }

  /** A token that holds: whoever waits for it, waits until somebody has signed in. */
  async token() {
    if (!this.signedIn) await this.#renew();
    return this.#token;
  }

  /** The server did not take this token, whatever this machine's clock says. */
  doubt(token) {
    if (token === this.#token) this.#expires = 0;
  }

  url(path) {
    return new URL(path, this.root);
  }

  /** The answer. A token that is not taken any more is renewed, and the request repeated. Raises `Problem`. */
  async ask(path, { headers = {}, json, ...options } = {}) {
    const body = json === undefined ? options.body : JSON.stringify(json);
    for (let again = true; ; again = false) {
      const token = await this.token();
      const bearer = { ...headers, Authorization: `Bearer ${token}` };
      if (json !== undefined) bearer["Content-Type"] = "application/json";
      const answer = await this.#reach(this.url(path), { ...options, body, headers: bearer });
      if (answer.ok) return answer;
      if (answer.status !== 401 || !again) throw await problemOf(answer);
      this.doubt(token);
    }
  }

  /** What is answered, as an object. Raises `Problem`. */
  async json(path, options) {
    return (await this.ask(path, options)).json();
  }

  async #renew() {
    if (this.#key) {
      try {
        return await this.#prolong();
      } catch (problem) {
        if (problem.status !== 401) throw problem;
        this.#key = null; // revoked
      }
    }
    this.#asking ??= this.onexpired().finally(() => (this.#asking = null));
    await this.#asking;
  }

  /** Another token by the key that is known. Raises `Problem`. */
  async #prolong(seconds) {
    this.#take(await this.#exchange(this.#key, seconds));
  }

  /** A token, and when it expires: by the server's clock, for ours may be wrong. Raises `Problem`. */
  async #exchange(key, seconds) {
    const answer = await this.#reach(this.url("api/tokens"), {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify({ scope: "console", ...(seconds && { expires_in_s: seconds }) }),
    });
    if (!answer.ok) throw await problemOf(answer);
    const { token, expires_at } = await answer.json();
    const now = Date.parse(answer.headers.get("Date")) || Date.now();
    return { token, life: Date.parse(expires_at) - now };
  }

  #take({ token, life }) {
    [this.#token, this.#life] = [token, life];
    this.#expires = Date.now() + life;
    sessionStorage.setItem(KEPT, JSON.stringify({ token, expires: this.#expires }));
    this.#renewIn(this.#life * RENEW_AT);
  }

  async #reach(url, options) {
    try {
      const answer = await fetch(url, { ...options, cache: "no-store" });
      this.onreached(true);
      return answer;
    } catch (error) {
      if (error.name === "AbortError") throw error;
      this.onreached(false);
      throw new Problem(0, "offline");
    }
  }

  #renewIn(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      try {
        if (this.#key) await this.#prolong();
      } catch {
        if (this.signedIn) this.#renewIn((this.#life * (1 - RENEW_AT)) / 5); // else when it is needed
      }
    }, Math.max(SOONEST_MS, ms));
  }
}

/** The id of the key that a token was made with (RFC 7519 §4.1.2). */
function subject(token) {
  return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).sub;
}

async function problemOf(answer) {
  const { code = `http_${answer.status}`, detail = "" } = await answer.json().catch(() => ({}));
  return new Problem(answer.status, code, detail);
}

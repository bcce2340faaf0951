/**
 * The life of every prompt that this page knows of: its own, and those of other people. No I/O, no clock of its own.
 *
 *     sending -> received -> held -> accepted -> queued -> applied -> shown -> past
 *                     \-> rejected          \-> superseded
 *
 * `applied` is the server's word: the first picture made with it has left. `shown` is this page's own: that picture
 * has been presented here. `past`: another prompt has taken its place on the screen.
 */

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").State} State */
/** @typedef {"sending" | "received" | "held" | "accepted" | "queued" | "applied" | "shown" | "past" | "superseded" | "rejected"} Stage */

/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {string} text
 * @property {boolean} mine
 * @property {boolean} cut
 * @property {Record<string, string>} knobs
 * @property {Stage} stage
 * @property {number} enteredAtMs on the page's clock
 * @property {number | null} etaMs
 * @property {number | null} latencyMs from Enter to its first picture on this screen
 * @property {string | null} reason why it was rejected
 */

const LIMIT = 40; // the oldest settled prompts are forgotten first
const RESEND_WITHIN_MS = 30_000; // an older prompt is no longer what somebody is waiting for

/** @type {ReadonlySet<Stage>} */
const OPEN = new Set(["sending", "received", "held", "accepted", "queued"]);
/** @type {readonly Stage[]} */
const ORDER = ["sending", "received", "held", "accepted", "queued", "applied", "shown", "past"];

/**
 * What the server says against a request, for people: the name of the field means nothing to them.
 *
 * @param {import("./protocol.js").Rejected} message
 */
export function refusal({ message, field }) {
  const prefix = `${field ?? ""}: `;
  const words = field && message.startsWith(prefix) ? message.slice(prefix.length) : message;
  return words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?…]$/.test(words) ? "" : ".");
}

export class PromptHistory {
  /** Oldest first. @type {Entry[]} */
  entries = [];

  /** @param {string} id */
  find(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  /**
   * This page sends a prompt.
   *
   * @param {string} id
   * @param {string} text
   * @param {number} nowMs
   * @param {boolean} [cut]
   * @param {Record<string, string>} [knobs]
   */
  entered(id, text, nowMs, cut = false, knobs = {}) {
    return this.#add({ id, text, mine: true, cut, knobs, stage: "sending", enteredAtMs: nowMs });
  }

  /**
   * Take in what the server says. Messages about other people's prompts that carry no text are ignored; their text
   * arrives with `state` and `chunk`.
   *
   * @param {ServerMessage} message
   * @param {number} nowMs
   */
  take(message, nowMs) {
    switch (message.type) {
      case "received":
      case "held":
      case "accepted":
        this.#advance(message.id, message.type);
        break;
      case "queued":
        this.#advance(message.id, "queued", { etaMs: message.eta_ms });
        break;
      case "applied":
        this.#advance(message.id, "applied");
        break;
      case "superseded":
        this.#settle(message.id, "superseded");
        break;
      case "rejected":
        if (message.id !== null) this.#settle(message.id, "rejected", refusal(message));
        break;
      case "state":
        this.#takeState(message, nowMs);
        break;
      case "chunk":
        if (message.prompt_id !== null) this.#other(message.prompt_id, message.prompt, "applied", nowMs);
        break;
    }
  }

  /**
   * The first picture of this prompt is on the screen; whatever was shown before is past.
   *
   * @param {string} id
   * @param {number | null} latencyMs
   */
  shown(id, latencyMs) {
    const entry = this.find(id);
    if (entry === undefined) return;
    entry.latencyMs ??= latencyMs;
    if (entry.stage === "shown" || !this.#canAdvance(entry, "shown")) return;
    this.#overtaken(id);
    entry.stage = "shown";
  }

  /**
   * The channel plays this prompt, but nothing is on this screen: whatever was played before is past.
   *
   * @param {string} id
   */
  playing(id) {
    if (this.find(id) !== undefined) this.#overtaken(id);
  }

  /**
   * The connection is back. Returns the one prompt to send again (with its own id, so that it cannot act twice);
   * every other open one is settled, because the server may never have seen it.
   *
   * @param {number} nowMs
   * @returns {Entry | null}
   */
  resume(nowMs) {
    const open = this.entries.filter((entry) => entry.mine && OPEN.has(entry.stage));
    const last = open.at(-1);
    for (const entry of open) {
      if (entry !== last) this.#settle(entry.id, "superseded");
      else if (nowMs - entry.enteredAtMs > RESEND_WITHIN_MS) {
        this.#settle(entry.id, "rejected", "The connection was lost before it was played. Send it again.");
      }
    }
    return last !== undefined && OPEN.has(last.stage) ? last : null;
  }

  /**
   * @param {State} state
   * @param {number} nowMs
   */
  #takeState(state, nowMs) {
    if (state.prompt_id !== null) this.#other(state.prompt_id, state.prompt, "applied", nowMs);
    for (const pending of state.pending) {
      this.#other(pending.id, pending.text, pending.stage, nowMs);
      const entry = this.find(pending.id);
      if (entry !== undefined) entry.etaMs = pending.eta_ms ?? entry.etaMs;
    }
    // What somebody else sent is answered to them alone: here it is over when the state does not name it any more.
    const named = new Set([state.prompt_id, ...state.pending.map(({ id }) => id)]);
    for (const entry of this.entries) {
      if (!entry.mine && !named.has(entry.id)) this.#settle(entry.id, "superseded");
    }
  }

  /**
   * A prompt that is named with its text: learn of it, or move it on.
   *
   * @param {string} id
   * @param {string} text
   * @param {Stage} stage
   * @param {number} nowMs
   */
  #other(id, text, stage, nowMs) {
    if (this.find(id) === undefined) {
      this.#add({ id, text, mine: false, cut: false, knobs: {}, stage, enteredAtMs: nowMs });
    } else if (stage === "superseded" || stage === "rejected") {
      this.#settle(id, stage);
    } else {
      this.#advance(id, stage);
    }
  }

  /** @param {Pick<Entry, "id" | "text" | "mine" | "cut" | "knobs" | "stage" | "enteredAtMs">} start */
  #add(start) {
    /** @type {Entry} */
    const entry = { ...start, etaMs: null, latencyMs: null, reason: null };
    this.entries.push(entry);
    while (this.entries.length > LIMIT) {
      const settled = this.entries.findIndex(({ stage }) => !OPEN.has(stage) && stage !== "shown");
      this.entries.splice(Math.max(0, settled), 1);
    }
    return entry;
  }

  /**
   * Forward only: a repeated or late message never takes a prompt back.
   *
   * @param {string} id
   * @param {Stage} stage
   * @param {Partial<Entry>} [change]
   */
  #advance(id, stage, change = {}) {
    const entry = this.find(id);
    if (entry !== undefined && this.#canAdvance(entry, stage)) Object.assign(entry, change, { stage });
  }

  /** @param {Entry} entry @param {Stage} stage */
  #canAdvance(entry, stage) {
    if (entry.stage === "superseded" || entry.stage === "rejected") return false;
    return ORDER.indexOf(stage) > ORDER.indexOf(entry.stage);
  }

  /** What was played before `id` is past; a later prompt that is on its way is not. @param {string} id */
  #overtaken(id) {
    const position = this.entries.findIndex((entry) => entry.id === id);
    this.entries.forEach((entry, i) => {
      if (i === position) return;
      if (entry.stage === "shown" || (entry.stage === "applied" && i < position)) entry.stage = "past";
    });
  }

  /**
   * @param {string} id
   * @param {"superseded" | "rejected"} stage
   * @param {string | null} [reason]
   */
  #settle(id, stage, reason = null) {
    const entry = this.find(id);
    if (entry === undefined || !OPEN.has(entry.stage)) return;
    entry.stage = stage;
    entry.reason = reason;
  }
}

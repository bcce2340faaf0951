/** What this person has proposed, how far it has come, and when it plays. No I/O, no clock of its own. */

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {"sending" | "received" | "held" | "accepted" | "queued" | "applied" | "superseded" | "rejected" | "unknown"} Stage */

/**
 * @typedef {object} Proposal
 * @property {string} id
 * @property {string | null} text null when it was sent from another page of the same person
 * @property {Stage} stage
 * @property {number | null} landsAtMs when it is expected to play, on the page's clock
 * @property {number} changedAtMs
 * @property {string} reason why it was turned away, or what the operator's look means
 */

const KEPT = 12; // the oldest that has ended is forgotten first
const LATE_MS = 10_000; // past the moment at which it should have played: whether it does is not known any more
/** Of these the server tells the page that waits, and nobody else: on another connection they may have ended unheard. */
const UNDER_WAY = new Set(["sending", "received", "queued"]);
const NO_WORD = "The connection was lost; what became of it is not known";
const OVER = new Set(["applied", "superseded", "rejected"]);

export class Proposals {
  /** Oldest first. @type {Proposal[]} */
  entries = [];

  /** @param {string} id @param {string} text @param {number} nowMs */
  sent(id, text, nowMs) {
    this.#add(id, text, "sending", nowMs);
  }

  /** @param {ServerMessage} message @param {number} nowMs */
  take(message, nowMs) {
    switch (message.type) {
      case "received":
      case "accepted":
        this.#move(message.id, message.type, nowMs);
        break;
      case "held":
        this.#move(message.id, "held", nowMs, message.message);
        break;
      case "queued": {
        // Only proposals are queued here, and their answers reach every page of the same person.
        const entry = this.find(message.id) ?? this.#add(message.id, null, "queued", nowMs);
        entry.landsAtMs = nowMs + message.eta_ms;
        this.#move(message.id, "queued", nowMs);
        break;
      }
      case "applied":
      case "superseded":
        this.#move(message.id, message.type, nowMs);
        break;
      case "state":
        // On a new connection: what it names is still on its way, whatever was missed.
        for (const { id, stage, eta_ms: etaMs } of message.pending) {
          const entry = this.find(id);
          if (entry?.stage !== "unknown" || (stage !== "queued" && stage !== "received")) continue;
          if (etaMs != null) entry.landsAtMs = nowMs + etaMs;
          if (!late(entry, nowMs)) this.#move(id, stage, nowMs);
        }
        break;
      case "rejected":
        if (message.id !== null) this.#move(message.id, "rejected", nowMs, message.message);
        break;
      default:
        break;
    }
  }

  /** Another connection: what was under way may have ended unheard, unless the server names it again. @param {number} nowMs */
  reconnected(nowMs) {
    for (const { id, stage } of this.entries) if (UNDER_WAY.has(stage)) this.#move(id, "unknown", nowMs, NO_WORD);
  }

  /** Time passes: what should have played long since is not about to. @param {number} nowMs */
  tick(nowMs) {
    for (const entry of this.entries) if (entry.stage === "queued" && late(entry, nowMs)) this.#move(entry.id, "unknown", nowMs);
  }

  /** @param {string} id */
  find(id) {
    return this.entries.find((entry) => entry.id === id);
  }

  /** The one that matters most to whoever proposed it: what lands next, else what changed last. */
  get foremost() {
    const landing = this.entries.filter(({ stage }) => stage === "queued");
    landing.sort((a, b) => (a.landsAtMs ?? Infinity) - (b.landsAtMs ?? Infinity));
    return landing[0] ?? [...this.entries].sort((a, b) => b.changedAtMs - a.changedAtMs)[0] ?? null;
  }

  /** @param {string} id @param {string | null} text @param {Stage} stage @param {number} nowMs */
  #add(id, text, stage, nowMs) {
    /** @type {Proposal} */
    const entry = { id, text, stage, landsAtMs: null, changedAtMs: nowMs, reason: "" };
    this.entries.push(entry);
    while (this.entries.length > KEPT) {
      this.entries.splice(Math.max(0, this.entries.findIndex(({ stage }) => OVER.has(stage) || stage === "unknown")), 1);
    }
    return entry;
  }

  /** @param {string} id @param {Stage} stage @param {number} nowMs @param {string} [reason] */
  #move(id, stage, nowMs, reason = "") {
    const entry = this.find(id);
    if (entry === undefined || OVER.has(entry.stage)) return;
    entry.stage = stage;
    entry.changedAtMs = nowMs;
    entry.reason = reason;
  }
}

/** @param {Proposal} proposal @param {number} nowMs */
function late({ landsAtMs }, nowMs) {
  return landsAtMs !== null && nowMs - landsAtMs > LATE_MS;
}

/** What is to be said of it now. @param {Proposal} proposal @param {number} nowMs */
export function words({ stage, landsAtMs, reason }, nowMs) {
  switch (stage) {
    case "sending":
      return "Sending";
    case "received":
      return "It is being checked";
    case "held":
      return reason || "An operator looks at it first";
    case "accepted":
      return "It is in. It plays if it wins the vote";
    case "queued": {
      const seconds = landsAtMs === null ? null : Math.ceil((landsAtMs - nowMs) / 1000);
      return seconds !== null && seconds > 0 ? `Yours lands in ${seconds} s` : "Yours lands any moment";
    }
    case "applied":
      return "Yours is playing";
    case "unknown":
      return reason || "It should have played by now";
    case "superseded":
      return "Something else was chosen";
    default:
      return reason || "It was not taken";
  }
}

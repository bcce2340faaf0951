/** The vote as this page knows it: the newest message, the time that is left of its phase, and one's own vote. No I/O. */

/** @typedef {import("./protocol.js").Audience} Audience */
/** @typedef {import("./protocol.js").AudienceOption} AudienceOption */

const RULES = {
  votes: "Most votes", earliest: "Tied; first to get there", random: "Drawn by lot", blend: "Tied; played together",
  keep: "Nothing changes", next_proposal: "No votes; the first proposal",
};

export class Vote {
  /** @type {Audience | null} */
  now = null;
  /** The option that this person has voted for, as far as this page knows. @type {string | null} */
  mine = null;
  #atMs = 0;
  /** The longest time left that was heard of in this phase: how long the phase is, for a bar that empties. */
  #wholeS = 0;
  #phase = "";
  /** @type {string | null} */
  #ballot = null;
  /** Request -> its option, and the vote that it replaces. @type {Map<string, {option: string, before: string | null}>} */
  #asked = new Map();

  /**
   * @param {Audience} message
   * @param {number} nowMs when it came, on the page's clock
   * @returns {boolean} false for one that is older than what is known
   */
  take(message, nowMs) {
    if (this.now !== null && message.revision < this.now.revision) return false;
    const phase = `${message.round} ${message.stage} ${message.phase}`;
    if (phase !== this.#phase) this.#wholeS = 0;
    this.#phase = phase;
    // A vote that never closes has one ballot for good; elsewhere another ballot has no vote of ours.
    if (message.ballot !== this.#ballot && message.phase !== "result") this.mine = null;
    if (message.phase !== "result") this.#ballot = message.ballot;
    if (message.mine !== null) this.mine = message.mine;
    this.#wholeS = Math.max(this.#wholeS, message.remaining_s ?? 0);
    this.now = message;
    this.#atMs = nowMs;
    return true;
  }

  /** Another connection: revisions may begin anew, and its first message says which vote is ours. */
  reset() {
    this.now = null;
    this.mine = null;
    this.#asked.clear();
  }

  /** Seconds left of the phase; null when nothing ends it. @param {number} nowMs @returns {number | null} */
  remainingS(nowMs) {
    if (this.now === null || this.now.remaining_s === null) return null;
    const passedS = this.now.paused ? 0 : (nowMs - this.#atMs) / 1000;
    return Math.max(0, this.now.remaining_s - passedS);
  }

  /** How much of the phase is left, 1 to 0; null when nothing ends it. @param {number} nowMs */
  remainingShare(nowMs) {
    const left = this.remainingS(nowMs);
    return left === null || this.#wholeS === 0 ? null : Math.min(1, left / this.#wholeS);
  }

  /** A vote is sent: it counts here at once. @param {string} id of the request @param {string} option */
  cast(id, option) {
    this.#asked.set(id, { option, before: this.mine });
    this.mine = option;
  }

  /** The answer to a vote. @param {string} id @param {boolean} counted @returns {boolean} whether it was one of ours */
  answered(id, counted) {
    const request = this.#asked.get(id);
    if (request === undefined) return false;
    this.#asked.delete(id);
    if (!counted && this.mine === request.option) this.mine = request.before; // else another one has replaced it
    return true;
  }

  /** Whether there is something to vote on now. */
  get open() {
    return this.now !== null && this.now.phase === "vote" && !this.now.paused && this.now.ballot !== null;
  }
}

/** What goes on, in a few words. @param {Audience} audience */
export function title({ phase, paused, mode, stage, stages, decided_by }) {
  const about = stages.length > 1 && stage !== "" ? `: ${stage}` : "";
  if (paused) return `Paused${about}`;
  switch (phase) {
    case "collect":
      return `Proposals${about}`;
    case "vote":
      return mode === "continuous" ? "The vote never closes" : `Vote now${about}`;
    case "result":
      return RULES[/** @type {keyof typeof RULES} */ (decided_by ?? "votes")] ?? "Decided";
    default:
      return "No vote yet";
  }
}

/** Seconds as a clock: `0:09`, `12:30`. @param {number} seconds */
export function countdown(seconds) {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Most votes first while they are counted; as the server lists them while proposals are collected. @param {Audience} audience */
export function ranked({ options, phase }) {
  return phase === "collect" ? options : [...options].sort((a, b) => b.share - a.share);
}

/** Whole percents. @param {number} share 0..1 */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

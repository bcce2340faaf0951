/** The line under the prompt box: how far the newest prompt of this page has come, or what went wrong, in words. */

/** @typedef {import("./prompts.js").Entry} Entry */
/** @typedef {import("./prompts.js").Stage} Stage */

export const STEPS = ["Sent", "Queued", "In the picture"];

/** How many of the steps are done. @type {Record<Stage, number>} */
const DONE = {
  sending: 0, received: 1, held: 1, accepted: 1, queued: 1, applied: 2, shown: 3, past: 3, superseded: 0, rejected: 0,
};

/** @param {number} ms */
function seconds(ms) {
  return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
}

/**
 * The steps' labels, with the times that are known.
 *
 * @param {Pick<Entry, "stage" | "etaMs" | "latencyMs">} entry
 */
export function labels({ stage, etaMs, latencyMs }) {
  const [sent = "", queued = "", picture = ""] = STEPS;
  return [
    stage === "sending" ? "Sending" : sent,
    stage === "queued" && etaMs !== null ? `${queued}, about ${seconds(etaMs)}` : queued,
    latencyMs === null ? picture : `${picture} after ${seconds(latencyMs)}`,
  ];
}

/**
 * The same in a sentence: for a screen reader, or when it has not come through.
 *
 * @param {Pick<Entry, "stage" | "etaMs" | "latencyMs" | "reason">} entry
 */
export function words(entry) {
  if (entry.stage === "superseded") return "A newer prompt took its place before it could be played.";
  if (entry.stage === "rejected") return entry.reason ?? "The server did not accept it.";
  if (entry.stage === "held") return "An operator looks at it first.";
  if (entry.stage === "applied") return "On its way to the screen";
  return labels(entry)[Math.max(0, DONE[entry.stage] - (entry.stage === "queued" ? 0 : 1))] ?? "";
}

export class Journey {
  #root;
  #text;
  #steps;
  #words;

  /**
   * @param {HTMLElement} root
   * @param {HTMLElement} text the prompt itself
   * @param {HTMLElement} steps
   * @param {HTMLElement} spoken a live region
   */
  constructor(root, text, steps, spoken) {
    this.#root = root;
    this.#text = text;
    this.#steps = STEPS.map(() => document.createElement("li"));
    steps.replaceChildren(...this.#steps);
    this.#words = spoken;
  }

  /** @param {Entry} entry */
  show(entry) {
    const failed = entry.stage === "rejected" || entry.stage === "superseded";
    this.#state(failed ? entry.stage : "walking");
    write(this.#text, entry.text);
    const done = DONE[entry.stage];
    const names = labels(entry);
    this.#steps.forEach((step, i) => {
      write(step, names[i] ?? "");
      step.dataset["state"] = i < done ? "done" : i === done ? "next" : "later";
    });
    write(this.#words, words(entry));
  }

  /** A sentence that is about no prompt in particular. @param {string} text @param {"hint" | "warning"} [tone] */
  say(text, tone = "warning") {
    this.#state(tone);
    write(this.#text, "");
    write(this.#words, text);
  }

  /** @param {string} state */
  #state(state) {
    this.#root.dataset["state"] = state;
  }
}

/** @param {Element} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The timeline of prompts on the page: one row each, newest first, with a badge that says how far it has come. */

/** @typedef {import("./prompts.js").Entry} Entry */

/** @type {Record<Entry["stage"], string>} */
const WORDS = {
  sending: "Sending",
  received: "Received",
  held: "Waits for an operator",
  accepted: "Accepted",
  queued: "Queued",
  applied: "On its way",
  shown: "In the picture",
  past: "Played",
  superseded: "Replaced",
  rejected: "Not accepted",
};

const SHOWN = 12;

/** @param {Entry} entry */
function badgeWords(entry) {
  if (entry.stage === "queued" && entry.etaMs !== null) return `Queued · ${(entry.etaMs / 1000).toFixed(1)} s`;
  return WORDS[entry.stage];
}

export class PromptList {
  #list;
  #empty;
  #choose;
  /** id -> row. @type {Map<string, HTMLLIElement>} */
  #rows = new Map();

  /**
   * @param {HTMLOListElement} list
   * @param {HTMLElement} empty shown while there is nothing to list
   * @param {(text: string) => void} choose somebody wants a prompt again
   */
  constructor(list, empty, choose) {
    this.#list = list;
    this.#empty = empty;
    this.#choose = choose;
  }

  /** Rows are changed in place, so that the focus stays where it is. @param {readonly Entry[]} entries oldest first */
  show(entries) {
    const listed = entries.slice(-SHOWN);
    const ids = new Set(listed.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const entry of listed) {
      let row = this.#rows.get(entry.id);
      if (row === undefined) {
        row = this.#row(entry);
        this.#rows.set(entry.id, row);
        this.#list.prepend(row);
      }
      this.#fill(row, entry);
    }
    this.#empty.hidden = listed.length > 0;
  }

  /** @param {Entry} entry */
  #row(entry) {
    const row = document.createElement("li");
    const text = document.createElement("button");
    text.type = "button";
    text.className = "text";
    text.textContent = entry.text;
    text.title = "Write this into the prompt box";
    text.addEventListener("click", () => this.#choose(entry.text));
    const badge = document.createElement("span");
    badge.className = "badge";
    const detail = document.createElement("span");
    detail.className = "detail";
    row.append(text, detail, badge);
    return row;
  }

  /** @param {HTMLLIElement} row @param {Entry} entry */
  #fill(row, entry) {
    row.dataset["id"] = entry.id;
    row.dataset["state"] = entry.stage;
    row.dataset["mine"] = String(entry.mine);
    write(row.querySelector(".badge"), badgeWords(entry));
    const latency = entry.latencyMs === null ? "" : `${Math.round(entry.latencyMs)} ms`;
    write(row.querySelector(".detail"), entry.reason ?? (latency || (entry.mine ? "" : "sent elsewhere")));
  }
}

/** @param {Element | null} element @param {string} text */
function write(element, text) {
  if (element !== null && element.textContent !== text) element.textContent = text;
}

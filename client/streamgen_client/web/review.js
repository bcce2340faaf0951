/**
 * What waits for an operator's word: prompts that are held, and proposals of the audience. No I/O.
 *
 * One of them is selected. It stays so while others come and go, and when it is decided the next one takes its place,
 * so that a row of decisions is a row of single keys.
 */

/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./protocol.js").Audience} Audience */

/**
 * @typedef {object} Item
 * @property {string} id
 * @property {string} text
 * @property {"prompt" | "proposal"} kind
 * @property {boolean} held false: it is through already, and can still be turned away
 * @property {string | null} category what it may be about
 * @property {string[]} names of those who proposed it
 * @property {number} supporters
 */

const DECIDED_KEPT = 256; // decided here, and perhaps still in a message that was sent before; the oldest is forgotten

export class Review {
  /** Those that need a word first, and the oldest first among them. @type {Item[]} */
  items = [];
  /** @type {string | null} */
  selected = null;
  /** @type {Item[]} */
  #prompts = [];
  /** @type {Item[]} */
  #proposals = [];
  /** @type {Set<string>} */
  #decided = new Set();

  /** How many wait for a word. */
  get waiting() {
    return this.items.filter(({ held }) => held).length;
  }

  get current() {
    return this.items.find(({ id }) => id === this.selected) ?? null;
  }

  /** @param {Pick<State, "held">} state */
  takeState({ held }) {
    this.#prompts = (held ?? []).map(({ id, text, category }) => ({
      id, text, kind: "prompt", held: true, category, names: [], supporters: 1,
    }));
    this.#merge();
  }

  /** @param {Pick<Audience, "queue">} audience */
  takeAudience({ queue }) {
    this.#proposals = queue.map(({ id, text, status, category, names, supporters }) => ({
      id, text, kind: "proposal", held: status === "held", category, names, supporters,
    }));
    this.#merge();
  }

  /** @param {string} id */
  select(id) {
    if (this.items.some((item) => item.id === id)) this.selected = id;
  }

  /** To the next (1) or the one before (-1); stops at the ends. @param {1 | -1} step */
  move(step) {
    const at = this.items.findIndex(({ id }) => id === this.selected);
    this.selected = this.items[Math.min(this.items.length - 1, Math.max(0, at + step))]?.id ?? null;
  }

  /** The word is said: it leaves the list at once, and comes back only if `undo` is called. @param {string} id */
  decided(id) {
    this.#decided.add(id);
    if (this.#decided.size > DECIDED_KEPT) this.#decided.delete(/** @type {string} */ (this.#decided.values().next().value));
    this.#merge();
  }

  /** The server did not take it. @param {string} id */
  undo(id) {
    this.#decided.delete(id);
    this.#merge();
  }

  /** Another connection, perhaps to another server. Prompts stay until its first state, and with them the selection. */
  reconnected() {
    this.#decided.clear();
    this.#proposals = [];
    this.#merge();
  }

  #merge() {
    const before = this.items.findIndex(({ id }) => id === this.selected);
    const all = [...this.#prompts, ...this.#proposals].filter(({ id }) => !this.#decided.has(id));
    this.items = [...all.filter(({ held }) => held), ...all.filter(({ held }) => !held)];
    if (this.items.some(({ id }) => id === this.selected)) return;
    this.selected = this.items[Math.min(Math.max(0, before), this.items.length - 1)]?.id ?? null;
  }
}

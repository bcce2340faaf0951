/**
 * What waits for an operator's word: prompts that are held, and proposals of the audience. No I/O.
 *
 * One of them is selected. It stays so while others come and go, and when it is decided here the next one takes its place,
 * so that a row of decisions is a row of single keys. When it vanishes otherwise nothing is selected until somebody
 * chooses: a key meant for it must not decide what nobody has read. What was selected by itself is not yet `settled`.
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
const SETTLES_MS = 400; // a second press within this was meant for what stood there before

export class Review {
  /** Those that need a word first, and the oldest first among them. @type {Item[]} */
  items = [];
  /** @type {string | null} */
  selected = null;
  /** @type {Item[]} */
  #prompts = [];
  /** @type {Item[]} */
  #proposals = [];
  /** What was said here of each. @type {Map<string, "approve" | "reject">} */
  #decided = new Map();
  /** What was selected vanished, and nobody has chosen since. */
  #bereft = false;
  #selectedAtMs = -Infinity;
  #now;

  /** @param {() => number} [now] a clock in milliseconds */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** How many wait for a word. */
  get waiting() {
    return this.items.filter(({ held }) => held).length;
  }

  get current() {
    return this.find(this.selected);
  }

  /** Whether what is selected has stood there long enough to be decided. */
  get settled() {
    return this.#now() - this.#selectedAtMs >= SETTLES_MS;
  }

  /** @param {string | null} id */
  find(id) {
    return this.items.find((item) => item.id === id) ?? null;
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
    for (const { id, held } of this.#proposals) {
      // The approval has arrived; when it is held again after that, it needs another word.
      if (!held && this.#decided.get(id) === "approve") this.#decided.delete(id);
    }
    this.#merge();
  }

  /** @param {string} id */
  select(id) {
    if (this.find(id) !== null) this.#choose(id);
  }

  /** To the next (1) or the one before (-1); stops at the ends. @param {1 | -1} step */
  move(step) {
    const at = this.items.findIndex(({ id }) => id === this.selected);
    const item = this.items[Math.min(this.items.length - 1, Math.max(0, at + step))];
    if (item !== undefined) this.#choose(item.id);
  }

  /**
   * The word is said: it leaves the list at once. What was turned away comes back only if `undo` is called, what was
   * approved also once it is through.
   *
   * @param {string} id
   * @param {"approve" | "reject"} word
   */
  decided(id, word) {
    this.#decided.set(id, word);
    if (this.#decided.size > DECIDED_KEPT) this.#decided.delete(/** @type {string} */ (this.#decided.keys().next().value));
    this.#merge(id);
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

  /** @param {string} id */
  #choose(id) {
    this.#selectedAtMs = -Infinity;
    this.selected = id;
    this.#bereft = false;
  }

  /** @param {string | null} [decided] what has just been decided here */
  #merge(decided = null) {
    const before = this.items.findIndex(({ id }) => id === this.selected);
    const all = [...this.#prompts, ...this.#proposals].filter(({ id, held }) => {
      const word = this.#decided.get(id);
      return word === undefined || (word === "approve" && !held);
    });
    this.items = [...all.filter(({ held }) => held), ...all.filter(({ held }) => !held)];
    if (this.find(this.selected) !== null) return;
    if (this.selected !== null && this.selected !== decided) this.#bereft = true;
    this.selected = this.#bereft ? null : this.items[Math.min(Math.max(0, before), this.items.length - 1)]?.id ?? null;
    if (this.selected !== null) this.#selectedAtMs = this.#now();
  }
}

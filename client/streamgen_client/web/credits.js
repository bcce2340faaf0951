/** Whose words play: the names that went with what the audience chose. No I/O. */

/** @typedef {import("./protocol.js").Audience} Audience */

const KEPT = 64; // chosen texts; the oldest is forgotten

export class Credits {
  /** Text -> names, the newest last. @type {Map<string, string[]>} */
  #names = new Map();

  /** Remembers what was chosen, and what plays of a blend. @param {Pick<Audience, "options" | "winners">} audience */
  take({ options, winners }) {
    for (const { id, text, names, playing } of options) {
      if (names.length === 0 || !(winners.includes(id) || playing > 0)) continue;
      this.#names.delete(text);
      this.#names.set(text, names);
      if (this.#names.size > KEPT) this.#names.delete(/** @type {string} */ (this.#names.keys().next().value));
    }
  }

  /** Names for a prompt, or for the texts that it was put together from. @param {string} prompt @returns {string[]} */
  of(prompt) {
    const whole = this.#names.get(prompt);
    if (whole !== undefined) return whole;
    const found = [...this.#names].filter(([text]) => contains(prompt, text)).flatMap(([, names]) => names);
    return [...new Set(found)];
  }
}

/** Whether `text` is a part of its own in `prompt`: of a blend (`60 % rain + 40 % snow`) or of a template. @param {string} prompt @param {string} text */
function contains(prompt, text) {
  const parts = prompt.split(/\s\+\s|,\s/).map((piece) => piece.replace(/^\d+ % /, ""));
  return parts.includes(text);
}

/** Prompts to begin with: things that the bundled model has been trained on, in words that it knows. */

export const SUGGESTIONS = [
  "northern lights over the mountains",
  "a red balloon over the sea at sunset",
  "rain on a city at night",
  "a forest waking at dawn, calm music",
  "fireworks over the village",
  "a ringed planet in space, dreamy music",
  "glowing rings of light with a fast beat",
  "a storm at the coast, tense music",
  "snow falling on a quiet village at night",
  "a neon tunnel, joyful music with a fast beat",
  "a blazing fire in the dark",
  "fish under the ice",
  "a river at sunset, in watercolour",
  "a purple jellyfish deep under water, dreamy music",
  "a white boat on a calm sea at dawn",
  "a train in the snow, pixel art",
];

/**
 * The same list in another order (Fisher-Yates).
 *
 * @param {readonly string[]} list
 * @param {() => number} random uniform in [0, 1)
 */
export function shuffled(list, random = Math.random) {
  const cards = [...list];
  for (let i = cards.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [cards[i], cards[j]] = [/** @type {string} */ (cards[j]), /** @type {string} */ (cards[i])];
  }
  return cards;
}

/** The row of suggestions: a surprise first, then one button for each. */
export class Suggestions {
  #controls;
  /** Those that the surprise has not used yet. @type {string[]} */
  #unseen = [];

  /**
   * @param {HTMLUListElement} row
   * @param {(text: string) => void} choose
   */
  constructor(row, choose) {
    const surprise = chip("Surprise me", () => choose(this.#next()));
    surprise.className = "surprise";
    const controls = [surprise, ...SUGGESTIONS.map((text) => chip(text, () => choose(text)))];
    this.#controls = controls;
    row.replaceChildren(...controls.map((control) => {
      const item = document.createElement("li");
      item.append(control);
      return item;
    }));
  }

  set disabled(/** @type {boolean} */ disabled) {
    for (const control of this.#controls) control.disabled = disabled;
  }

  #next() {
    if (this.#unseen.length === 0) this.#unseen = shuffled(SUGGESTIONS);
    return this.#unseen.pop() ?? "";
  }
}

/** @param {string} text @param {() => void} press */
function chip(text, press) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", press);
  return button;
}

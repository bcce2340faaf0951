/** Prompts to begin with: things that the bundled model has been trained on, in words that it knows. */

export const SUGGESTIONS = [
  "a stormy sea",
  "northern lights",
  "a red ball bouncing on green hills, joyful music",
  "city skyline in fog",
  "golden sand dunes, dreamy music",
  "a white sailboat bobbing on a calm sea",
  "glowing embers, slow sad minor chords",
  "a ringed planet among stars",
  "snowfall on a winter night, gentle chords",
  "pulsing rings of light, joyful lively music",
  "a yellow balloon floating over a golden meadow",
  "a purple nebula in space, dreamy floating chords",
  "heavy rain over dark hills, tense music",
  "a white bird flying over a sea at sunset",
  "a blazing fire, dark driving music",
  "a pink heart pulsing under northern lights",
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

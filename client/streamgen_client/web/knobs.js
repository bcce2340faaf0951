/** What a model has learnt to be turned beside the prompt: one list to choose from for each knob that the channel offers. */

const AS_TOLD = ""; // what a knob says while the prompt alone decides

/** @param {string} name of a knob or a value, as the protocol has it */
function words(name) {
  const spaced = name.replaceAll("_", " ");
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

export class Knobs {
  #container;
  #turned;
  /** What is offered now, to see whether it has changed. */
  #offered = "";
  /** @type {HTMLSelectElement[]} */
  #lists = [];
  #disabled = false;

  /**
   * @param {HTMLElement} container
   * @param {() => void} turned called when somebody has chosen
   */
  constructor(container, turned) {
    this.#container = container;
    this.#turned = turned;
  }

  /** What is chosen: name to value; a knob that is left alone is left out. @returns {Record<string, string>} */
  get chosen() {
    const set = this.#lists.filter(({ value }) => value !== AS_TOLD);
    return Object.fromEntries(set.map(({ name, value }) => [name, value]));
  }

  /** @param {boolean} disabled */
  set disabled(disabled) {
    this.#disabled = disabled;
    for (const list of this.#lists) list.disabled = disabled;
  }

  /**
   * The channel offers these knobs, name to values. What was chosen stays where it still can be.
   *
   * @param {Record<string, string[]>} choices
   */
  offer(choices) {
    const offered = JSON.stringify(choices);
    if (offered === this.#offered) return;
    this.#offered = offered;
    const before = this.chosen;
    this.#lists = Object.entries(choices).map(([name, values]) => this.#list(name, values, before[name] ?? AS_TOLD));
    this.#container.replaceChildren(...this.#lists.map((list) => this.#labelled(list)));
    this.#container.hidden = this.#lists.length === 0;
  }

  /**
   * Somebody else's prompt plays, or this page has just come: these are the knobs in force.
   *
   * @param {Record<string, string>} turned
   */
  show(turned) {
    for (const list of this.#lists) list.value = turned[list.name] ?? AS_TOLD;
  }

  /** @param {string} name @param {string[]} values @param {string} chosen */
  #list(name, values, chosen) {
    const list = document.createElement("select");
    list.name = name;
    list.append(new Option("as told", AS_TOLD), ...values.map((value) => new Option(words(value), value)));
    list.value = values.includes(chosen) ? chosen : AS_TOLD;
    list.disabled = this.#disabled;
    list.addEventListener("change", () => this.#turned());
    return list;
  }

  /** @param {HTMLSelectElement} list */
  #labelled(list) {
    const label = document.createElement("label");
    const name = document.createElement("span");
    name.textContent = words(list.name);
    label.append(name, list);
    return label;
  }
}

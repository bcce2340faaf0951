/** Options of a vote with their bars: buttons for whoever may vote, plain rows for everybody else. */

import { made, rows, write } from "./page.js";
import { percent, ranked } from "./vote.js";

/** @typedef {import("./vote.js").Vote} Vote */
/** @typedef {import("./protocol.js").AudienceOption} AudienceOption */

export class VoteBars {
  #list;
  #choose;
  /** @type {ReadonlyMap<string, AudienceOption>} */
  #shown = new Map();

  /** @param {HTMLElement} list @param {((option: AudienceOption) => void) | null} choose null: nobody votes here */
  constructor(list, choose) {
    this.#list = list;
    this.#choose = choose;
  }

  /** @param {Vote} vote @param {boolean} mayVote @param {number} [limit] so many of them, the first ones */
  show(vote, mayVote, limit = Infinity) {
    const audience = vote.now;
    // Rows do not move while somebody aims at them: votes are sorted only where nobody presses.
    const order = audience === null ? [] : this.#choose === null ? ranked(audience) : audience.options;
    const options = new Map(order.slice(0, limit).map((option) => [option.id, option]));
    this.#shown = options;
    const best = Math.max(0, ...(audience?.options ?? []).map(({ share }) => share));
    rows(this.#list, [...options.keys()], (id) => this.#row(id), (row, id) => {
      const option = /** @type {AudienceOption} */ (options.get(id));
      const chosen = vote.mine === id;
      const winner = audience?.winners.includes(id) ?? false;
      row.dataset["mine"] = String(chosen);
      row.dataset["winner"] = String(winner);
      row.dataset["leads"] = String(option.share > 0 && option.share === best);
      row.style.setProperty("--share", option.share.toFixed(3));
      const collects = audience?.phase === "collect";
      fill(row, ".option-text", option.text);
      fill(row, ".option-names", option.names.length > 0 ? `by ${option.names.join(", ")}` : "");
      fill(row, ".option-share", collects ? `${option.votes}` : percent(option.share));
      fill(row, ".option-flag", winner ? "chosen" : option.playing > 0 ? `plays ${percent(option.playing)}` : chosen ? "your vote" : "");
      const button = row.querySelector("button");
      if (button === null) return;
      button.disabled = !mayVote || !vote.open;
      button.ariaPressed = String(chosen);
      const said = `${option.text}: ${percent(option.share)} of the votes${chosen ? ", your vote" : ""}`;
      if (button.ariaLabel !== said) button.ariaLabel = said;
    });
  }

  /** @param {string} id */
  #row(id) {
    const row = made("li", "option");
    const inside = this.#choose === null ? made("div", "option-inside") : made("button", "option-inside");
    inside.append(
      made("span", "option-bar"), made("span", "option-text"), made("span", "option-share"), made("span", "option-names"),
      made("span", "option-flag"),
    );
    if (inside instanceof HTMLButtonElement) {
      inside.type = "button";
      inside.addEventListener("click", () => {
        const option = this.#shown.get(id);
        if (option !== undefined) this.#choose?.(option);
      });
    }
    row.append(inside);
    return row;
  }
}

/** @param {Element} row @param {string} selector @param {string} text */
function fill(row, selector, text) {
  const element = row.querySelector(selector);
  if (element !== null) write(element, text);
}

/** The timeline as a strip: now is a line near its left edge, and what is to come moves towards it. */

import { made, rows, write } from "./page.js";

/** @typedef {import("./programme.js").Coming} Coming */

const PAST_S = 10;
const AHEAD_S = 110;
const MARK_EVERY_S = 30;
const LANES = 3; // blocks that would cover one another go below; what finds no room lies on the last one
const BLOCK_S = 22; // of the strip that a block's words take

/** Where a moment lies, 0..1 of the strip's width. @param {number} fromNowS */
export function place(fromNowS) {
  return (fromNowS + PAST_S) / (PAST_S + AHEAD_S);
}

/** What is in view, each with its lane. @template {{atS: number}} T @param {readonly T[]} moments soonest first @param {number} nowS */
export function laid(moments, nowS) {
  /** @type {number[]} */
  const free = Array.from({ length: LANES }, () => -Infinity);
  return moments
    .filter(({ atS }) => atS - nowS >= -PAST_S && atS - nowS <= AHEAD_S)
    .map((moment) => {
      const found = free.findIndex((until) => until <= moment.atS);
      const lane = found === -1 ? LANES - 1 : found;
      free[lane] = moment.atS + BLOCK_S;
      return { moment, lane };
    });
}

export class Strip {
  #marks;
  #blocks;
  #empty;
  /** What has played, so that it leaves the strip at its left edge. @type {{id: string, text: string, atS: number}[]} */
  #played = [];
  #remove;

  /** @param {HTMLElement} root @param {(id: string) => void} remove an entry of the timeline */
  constructor(root, remove) {
    this.#remove = remove;
    this.#marks = made("div", "marks");
    this.#blocks = made("ol", "blocks");
    this.#empty = made("p", "empty", "Nothing is scheduled in the next two minutes.");
    const now = made("div", "now-line");
    now.style.left = `${100 * place(0)}%`;
    root.append(this.#marks, now, this.#blocks, this.#empty);
  }

  /** A prompt begins to play. @param {string} id @param {string} text @param {number} atS */
  played(id, text, atS) {
    this.#played.push({ id: `played ${id} ${atS}`, text, atS });
  }

  /** @param {readonly Coming[]} coming @param {number} nowS @param {boolean} mayRemove */
  show(coming, nowS, mayRemove) {
    this.#played = this.#played.filter(({ atS }) => nowS - atS <= PAST_S);
    const moments = [
      ...this.#played.map((each) => ({ ...each, kind: "played", target: "" })),
      ...coming.flatMap(({ id, text, kind, atS }) =>
        atS === null ? [] : [{ id: `${kind} ${id} ${kind === "scheduled" ? atS.toFixed(1) : ""}`, text, kind, atS, target: id }]),
    ];
    const blocks = new Map(laid(moments, nowS).map((each) => [each.moment.id, each]));
    this.#empty.hidden = coming.some(({ atS }) => atS !== null && atS - nowS <= AHEAD_S);
    rows(this.#blocks, [...blocks.keys()], (id) => this.#block(id, blocks), (block, id) => {
      const { moment, lane } = /** @type {NonNullable<ReturnType<typeof blocks.get>>} */ (blocks.get(id));
      block.style.left = `${(100 * place(moment.atS - nowS)).toFixed(2)}%`;
      block.dataset["lane"] = String(lane);
      const seconds = Math.ceil(moment.atS - nowS);
      write(/** @type {Element} */ (block.querySelector(".when")), moment.kind === "played" ? "" : seconds > 0 ? `${seconds} s` : "now");
      const button = block.querySelector("button");
      if (button !== null) button.hidden = !mayRemove;
    });
    this.#showMarks(nowS);
  }

  /** @param {string} id @param {Map<string, {moment: {text: string, kind: string, target: string}}>} blocks */
  #block(id, blocks) {
    const { text, kind, target } = /** @type {{moment: {text: string, kind: string, target: string}}} */ (blocks.get(id)).moment;
    const block = made("li", "block");
    block.dataset["kind"] = kind;
    const words = made("span", "text", text);
    words.title = text;
    block.append(made("span", "when"), words);
    if (kind === "scheduled") {
      const button = made("button", "", "×");
      button.type = "button";
      button.ariaLabel = `Take “${text}” off the timeline`;
      button.addEventListener("click", () => this.#remove(target));
      block.append(button);
    }
    return block;
  }

  /** @param {number} nowS */
  #showMarks(nowS) {
    const first = Math.ceil((nowS - PAST_S) / MARK_EVERY_S) * MARK_EVERY_S;
    const marks = [];
    for (let at = Math.max(0, first); at <= nowS + AHEAD_S; at += MARK_EVERY_S) marks.push(String(at));
    rows(this.#marks, marks, (id) => {
      const at = Number(id);
      return made("span", "mark", `${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")}`);
    }, (mark, id) => {
      mark.style.left = `${(100 * place(Number(id) - nowS)).toFixed(2)}%`;
    });
  }
}

/** The latency meter: the last prompt's time in large figures, the session's percentiles, and a bar for each prompt. */

import { percentile } from "./latency.js";

const BARS = 40;
const WIDTH = 240; // of the drawing, in its own units
const HEIGHT = 64;
const SCALE_AT_LEAST_MS = 1500; // the bars' full height: the time that a prompt may take
const SVG = "http://www.w3.org/2000/svg";

/** @param {number | null} ms */
export function milliseconds(ms) {
  return ms === null ? "–" : `${Math.round(ms)} ms`;
}

/** Hours, minutes and seconds of programme. @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/**
 * @typedef {object} MeterParts
 * @property {HTMLElement} last
 * @property {HTMLElement} lastWords
 * @property {HTMLElement} p50
 * @property {HTMLElement} p95
 * @property {HTMLElement} first
 * @property {HTMLElement} skew
 * @property {HTMLElement} clock
 * @property {SVGElement} spark
 */

export class Meter {
  #parts;

  /** @param {MeterParts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** @param {readonly number[]} samplesMs prompt-to-photon, oldest first */
  prompts(samplesMs) {
    const { last, lastWords, p50, p95, spark } = this.#parts;
    const newest = samplesMs.at(-1);
    if (newest === undefined) return;
    last.textContent = String(Math.round(newest));
    lastWords.textContent = "ms, your last prompt";
    const median = percentile(samplesMs, 0.5);
    p50.textContent = milliseconds(median);
    p95.textContent = milliseconds(percentile(samplesMs, 0.95));

    const shown = samplesMs.slice(-BARS);
    const full = Math.max(SCALE_AT_LEAST_MS, ...shown);
    const pitch = WIDTH / BARS;
    const bars = shown.map((ms, i) => {
      const height = Math.max(3, (HEIGHT * ms) / full);
      return shape("rect", {
        x: i * pitch, y: HEIGHT - height, width: pitch - 2, height, rx: 1.5,
        class: i === shown.length - 1 ? "newest" : "",
      });
    });
    if (median !== null) {
      const y = HEIGHT - (HEIGHT * median) / full;
      bars.push(shape("line", { x1: 0, x2: WIDTH, y1: y, y2: y, "vector-effect": "non-scaling-stroke" }));
    }
    spark.replaceChildren(...bars);
    const words = `last ${milliseconds(newest)}, median ${milliseconds(median)}`;
    spark.setAttribute("aria-label", `From Enter to the picture, last ${shown.length} prompts: ${words}`);
  }

  /** @param {number | null} ms */
  first(ms) {
    write(this.#parts.first, milliseconds(ms));
  }

  /** @param {readonly number[]} samplesMs picture minus sound */
  skew(samplesMs) {
    const median = percentile(samplesMs.slice(-30), 0.5);
    const sign = median !== null && Math.round(median) > 0 ? "+" : "";
    this.#parts.skew.textContent = median === null ? "–" : `${sign}${milliseconds(median)}`;
  }

  /** @param {number | null} seconds */
  onAir(seconds) {
    write(this.#parts.clock, seconds === null ? "–" : clock(seconds));
  }
}

/** Twelve times a second, so only what has changed. @param {HTMLElement} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** One measurement over the last two minutes, and its line in a small plot. No I/O. */

export const KEPT = 120; // one a second; the oldest is dropped

export class Series {
  /** Null where nothing was measured. @type {(number | null)[]} */
  values = [];

  /** @param {number | null} value */
  add(value) {
    this.values.push(value);
    if (this.values.length > KEPT) this.values.shift();
  }

  /** @returns {number | null} */
  get last() {
    return this.values.at(-1) ?? null;
  }
}

/**
 * The scale of a plot: what was measured, what has to be in view, and air above.
 *
 * @param {readonly (readonly (number | null)[])[]} lines
 * @param {readonly number[]} always values that have to be in view, such as a limit
 * @returns {[number, number]}
 */
export function scale(lines, always = [0]) {
  const seen = [...lines.flat().filter((value) => value !== null), ...always];
  const low = Math.min(...seen);
  const high = Math.max(...seen);
  const air = (high - low || 1) * 0.08;
  return [low < 0 ? low - air : low, high + air];
}

/**
 * The line as an SVG path; it breaks where nothing was measured. The newest value is at the right edge.
 *
 * @param {readonly (number | null)[]} values
 * @param {readonly [number, number]} range
 * @param {{width: number, height: number}} size
 */
export function path(values, [low, high], { width, height }) {
  let drawn = "";
  let pen = false;
  values.forEach((value, i) => {
    if (value === null) {
      pen = false;
      return;
    }
    const x = width - ((values.length - 1 - i) * width) / (KEPT - 1);
    const y = height - ((value - low) / (high - low || 1)) * height;
    drawn += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return drawn;
}

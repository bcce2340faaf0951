/** Waiting times between attempts: doubling, capped, with jitter so that a thousand viewers do not return at once. */

const FIRST_MS = 500;
const LIMIT_MS = 10_000;
const FULL_MS = 10_000; // at least, before a server that is full is asked again
const JITTER = 0.25; // a wait is spread over 75 % to 125 % of its nominal length

export class Backoff {
  #attempt = 0;
  #random;

  /** @param {() => number} random uniform in [0, 1) */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /**
   * The next wait in milliseconds. What the server asks for (`Retry-After`) is a lower bound.
   *
   * @param {number | null} [retryAfterS]
   */
  next(retryAfterS = null) {
    const nominal = Math.min(LIMIT_MS, FIRST_MS * 2 ** this.#attempt);
    this.#attempt += 1;
    const spread = nominal * (1 + JITTER * (2 * this.#random() - 1));
    return Math.round(Math.max(spread, (retryAfterS ?? 0) * 1000));
  }

  /** The wait after a server said that it is full: long, and spread as widely again. */
  whenFull() {
    return Math.round(FULL_MS * (1 + this.#random()));
  }

  /** After a success: the next failure starts from the shortest wait again. */
  reset() {
    this.#attempt = 0;
  }
}

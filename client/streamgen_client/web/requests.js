/** Requests whose answer has not come yet: when they were sent, and what they were about. No I/O. */

/** @typedef {import("./protocol.js").ClientMessage} ClientMessage */
/** @typedef {{message: ClientMessage, atMs: number}} Request */

const KEPT = 64; // the oldest is forgotten
const ANSWER_WITHIN_MS = 5000; // one that is not answered by then keeps nobody from asking again

export class Requests {
  /** @type {Map<string, Request>} */
  #open = new Map();

  /** @param {ClientMessage} message @param {number} nowMs */
  sent(message, nowMs) {
    this.#open.set(message.id, { message, atMs: nowMs });
    if (this.#open.size > KEPT) this.#open.delete(/** @type {string} */ (this.#open.keys().next().value));
  }

  /** The answer has come. @param {string} id @returns {Request | null} what it answers; null when it is not ours */
  answered(id) {
    const request = this.#open.get(id) ?? null;
    this.#open.delete(id);
    return request;
  }

  /**
   * Whether an answer to one of these types is on its way: what was pressed should then not be pressed again.
   *
   * @param {readonly ClientMessage["type"][]} types
   * @param {number} nowMs
   */
  awaits(types, nowMs) {
    return [...this.#open.values()].some(({ message, atMs }) => types.includes(message.type) && nowMs - atMs < ANSWER_WITHIN_MS);
  }

  /** The connection is another one: no answer comes any more. @returns {ClientMessage[]} what it was that has none, oldest first */
  lost() {
    const messages = [...this.#open.values()].map(({ message }) => message);
    this.#open.clear();
    return messages;
  }
}

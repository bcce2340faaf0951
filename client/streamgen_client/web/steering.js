/**
 * The steering connection: a WebSocket, or a data channel in its clothes, that comes back by itself.
 *
 * Events: `open` (the server takes part: its first `state` is here, and follows as a `message`);
 * `closed` (`ClosedDetail`); `message` (`MessageDetail`).
 */

import { Backoff } from "./backoff.js";
import { parse } from "./protocol.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").ClientMessage} ClientMessage */
/** @typedef {{message: ServerMessage}} MessageDetail */
/** @typedef {WebSocket | import("./data-line.js").DataLine} Line */
/** @typedef {{reason: string, retryInMs: number | null}} ClosedDetail `retryInMs` null: it will not try again */

const PING_EVERY_MS = 5000;
const SILENCE_LIMIT_MS = 15_000; // nothing at all for this long: the connection is dead even if TCP does not say so
const OPEN = 1; // of `readyState`
const POLICY_VIOLATION = 1008; // the server refuses this page (a wrong token): trying again cannot help
const TRY_AGAIN_LATER = 1013; // the server is full, and says so only after it has let the connection open

/** A fresh id for a request: unique on the channel, and the same when the request is sent again. */
export function newId() {
  // randomUUID exists in secure contexts only, and a page on http://192.168.x.y is not one.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} path relative to the page, or absolute
 * @param {string} page the page's own address
 * @param {string | null} token
 * @param {string | null} client this page's name: a request that is sent again over a new connection is known by it
 */
export function socketUrl(path, page, token, client) {
  const url = new URL(path, page);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  if (token !== null) url.searchParams.set("token", token);
  if (client !== null) url.searchParams.set("client", client);
  return url.href;
}

export class SteeringClient extends EventTarget {
  #dial;
  #backoff;
  /** @type {Line | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #pings;
  #heardAtMs = 0;
  #wanted = false;
  /** The first `state` of this connection has come. */
  #welcome = false;

  /**
   * @param {string | (() => Line | null)} way the address of a WebSocket, or what opens a new line; null when none can
   *   be opened until `retryNow`
   * @param {Backoff} [backoff]
   */
  constructor(way, backoff = new Backoff()) {
    super();
    this.#backoff = backoff;
    this.#dial = typeof way === "string" ? () => new WebSocket(way) : way;
  }

  get connected() {
    return this.#welcome && this.#socket?.readyState === OPEN;
  }

  start() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#connect();
  }

  /** Do not wait any longer for the next attempt. A connection that is up, or on its way, is left alone. */
  retryNow() {
    if (!this.#wanted || this.#socket !== null) return;
    clearTimeout(this.#retry);
    this.#connect();
  }

  /** What carried the connection is gone, whether it says so or not. */
  lost() {
    this.#socket?.close();
  }

  /** Close for good; no event follows. */
  stop() {
    this.#wanted = false;
    clearTimeout(this.#retry);
    clearInterval(this.#pings);
    const socket = this.#socket;
    this.#socket = null; // first: a data line says at once that it is closed
    socket?.close();
  }

  /**
   * @param {ClientMessage} message
   * @returns {boolean} false when there is no connection; nothing is kept for later
   */
  send(message) {
    if (!this.connected) return false;
    this.#socket?.send(JSON.stringify(message));
    return true;
  }

  #connect() {
    const socket = /** @type {WebSocket | null} */ (this.#dial());
    this.#socket = socket;
    this.#welcome = false;
    if (socket === null) return;
    socket.addEventListener("open", () => {
      this.#heardAtMs = performance.now();
      this.#pings = setInterval(() => this.#ping(), PING_EVERY_MS);
    });
    socket.addEventListener("message", ({ data }) => {
      this.#heardAtMs = performance.now();
      const message = parse(data);
      if (message?.type === "state" && !this.#welcome) {
        this.#welcome = true;
        this.#backoff.reset();
        this.dispatchEvent(new CustomEvent("open"));
      }
      if (message !== null) this.dispatchEvent(new CustomEvent("message", { detail: { message } }));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.#socket !== socket) return;
      clearInterval(this.#pings);
      this.#socket = null;
      if (code === POLICY_VIOLATION) this.#wanted = false;
      const retryInMs = !this.#wanted ? null : code === TRY_AGAIN_LATER ? this.#backoff.whenFull() : this.#backoff.next();
      if (retryInMs !== null) this.#retry = setTimeout(() => this.#connect(), retryInMs);
      this.dispatchEvent(
        new CustomEvent("closed", { detail: { reason: reason || "The connection was lost.", retryInMs } }),
      );
    });
  }

  #ping() {
    if (performance.now() - this.#heardAtMs > SILENCE_LIMIT_MS) {
      this.#socket?.close();
      return;
    }
    this.send({ type: "ping", id: newId(), t: performance.now() });
  }
}

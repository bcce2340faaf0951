/**
 * Steering over the data channel of the session that plays, in the clothes of a WebSocket: `SteeringClient` cannot tell
 * the two apart. A data channel has no close codes; the server says why in a last `rejected` without an id.
 */

import { parse } from "./protocol.js";

export const CHANNEL_LABEL = "streamgen";
const POLICY_VIOLATION = 1008;
const TRY_AGAIN_LATER = 1013;
const ABNORMAL = 1006;
/** What a WebSocket calls the states of a channel. */
const READY_STATES = { connecting: 0, open: 1, closing: 2, closed: 3 };

/** Events as of a WebSocket: `open`, `message`, and `close` with a code and a reason. */
export class DataLine extends EventTarget {
  #channel;
  #code = ABNORMAL;
  #reason = "";
  #over = false;

  /** @param {RTCDataChannel} channel a new one */
  constructor(channel) {
    super();
    this.#channel = channel;
    channel.addEventListener("open", () => this.dispatchEvent(new Event("open")));
    channel.addEventListener("message", ({ data }) => {
      this.#listenForFarewell(data);
      this.dispatchEvent(new MessageEvent("message", { data }));
    });
    channel.addEventListener("close", () => this.#end());
  }

  /** As of a WebSocket. */
  get readyState() {
    return READY_STATES[this.#over ? "closed" : this.#channel.readyState];
  }

  /** @param {string} text */
  send(text) {
    this.#channel.send(text);
  }

  /** Close. A browser tells no channel that its connection was closed on this side, so `close` comes from here. */
  close() {
    this.#channel.close();
    this.#end();
  }

  #end() {
    if (this.#over) return;
    this.#over = true;
    this.dispatchEvent(Object.assign(new Event("close"), { code: this.#code, reason: this.#reason }));
  }

  /** @param {unknown} data */
  #listenForFarewell(data) {
    const message = parse(data);
    if (message?.type !== "rejected" || message.id !== null) return;
    // Field and reason: of a connection it is also said that something was too long for it, and it goes on.
    if (message.field === "token" && message.reason === "forbidden") this.#code = POLICY_VIOLATION;
    else if (message.field === "connection" && message.reason === "unavailable") this.#code = TRY_AGAIN_LATER;
    else return;
    this.#reason = message.message;
  }
}

/**
 * Opens lines on whichever session the player has; none while it has none.
 *
 * @param {{session: {peer: RTCPeerConnection} | null}} player
 * @returns {() => DataLine | null}
 */
export function linesOf(player) {
  return () => {
    const peer = player.session?.peer;
    if (peer === undefined || peer.connectionState === "closed") return null;
    return new DataLine(peer.createDataChannel(CHANNEL_LABEL));
  };
}

/**
 * Have an offer ask for data channels without opening one: this channel exists on this side only.
 *
 * @param {RTCPeerConnection} peer
 */
export function offerChannels(peer) {
  peer.createDataChannel("offered", { negotiated: true, id: 1022 });
}

/**
 * The steering protocol as this page speaks it: the types of `streamgen.protocol`, and reading a frame.
 *
 * @typedef {"received" | "held" | "accepted" | "queued" | "applied" | "superseded" | "rejected"} Stage
 * @typedef {{id: string, text: string, stage: Stage, eta_ms?: number | null}} Pending
 *
 * @typedef {object} State the whole situation; a higher `revision` replaces a lower one
 * @property {"state"} type
 * @property {number} version
 * @property {number} revision
 * @property {string} channel
 * @property {"starting" | "live" | "buffering" | "slate"} status
 * @property {string} prompt
 * @property {string | null} prompt_id
 * @property {Pending[]} pending
 * @property {Record<string, string>} [knobs] of the prompt that plays; an older server names none
 * @property {Record<string, string[]>} [choices] knobs that a prompt can turn, and to what
 * @property {{guidance: number | null, seed: number | null}} config
 * @property {number} media_time seconds
 * @property {number | null} chunk
 * @property {number} viewers
 * @property {("prompt" | "config" | "panic" | "moderate")[]} can
 * @property {{id: string, text: string, category: string | null}[]} [held] prompts that wait for an operator's word
 * @property {"none" | "hold" | "slate" | "black"} [cover] what is shown in the programme's place
 * @property {boolean} [muted]
 *
 * @typedef {{type: "received", id: string}} Received
 * @typedef {{type: "held", id: string, message: string}} Held an operator has to look at it first
 * @typedef {{type: "accepted", id: string}} Accepted
 * @typedef {{type: "rejected", id: string | null, reason: string, field?: string | null, message: string,
 *   retry_after_s?: number | null}} Rejected
 * @typedef {{type: "queued", id: string, eta_ms: number}} Queued
 * @typedef {{type: "applied", id: string, chunk: number | null, media_time: number, rtp_video?: number | null}} Applied
 * @typedef {{type: "superseded", id: string, by: string}} Superseded
 * @typedef {{type: "buffering", active: boolean, reason: "underrun" | "starting" | "restarting" | null,
 *   media_time: number}} Buffering
 * @typedef {{type: "chunk", index: number, media_time: number, prompt: string, prompt_id: string | null,
 *   rtp_video: number}} Chunk
 * @typedef {{type: "pong", id: string, t: number, server_media_time: number}} Pong
 *
 * @typedef {State | Received | Held | Accepted | Rejected | Queued | Applied | Superseded | Buffering | Chunk | Pong
 *   } ServerMessage
 *
 * @typedef {{type: "prompt.set", id: string, text: string, cut?: boolean, knobs?: Record<string, string>}} PromptSet
 * @typedef {{type: "config.update", id: string, guidance?: number, seed?: number}} ConfigUpdate
 * @typedef {{type: "ping", id: string, t: number}} Ping
 * @typedef {PromptSet | ConfigUpdate | Ping} ClientMessage
 */

export const PROTOCOL_VERSION = 1;
export const MAX_TEXT_CHARS = 500;

const TYPES = new Set([
  "state", "received", "held", "accepted", "rejected", "queued", "applied", "superseded", "buffering", "chunk", "pong",
]);

/**
 * Read one frame. A type that this page does not know is `null`: a newer server may say more than we understand.
 *
 * @param {unknown} frame
 * @returns {ServerMessage | null}
 */
export function parse(frame) {
  if (typeof frame !== "string") return null;
  /** @type {unknown} */
  let document;
  try {
    document = JSON.parse(frame);
  } catch {
    return null;
  }
  if (typeof document !== "object" || document === null || !("type" in document)) return null;
  return TYPES.has(String(document.type)) ? /** @type {ServerMessage} */ (document) : null;
}

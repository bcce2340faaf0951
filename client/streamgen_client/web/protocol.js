/**
 * The steering protocol as this page speaks it: the types of `streamgen.protocol`, and reading a frame.
 *
 * @typedef {"received" | "held" | "accepted" | "queued" | "applied" | "superseded" | "rejected"} Stage
 * @typedef {{id: string, text: string, stage: Stage, eta_ms?: number | null}} Pending
 *
 * @typedef {"watch" | "propose" | "vote" | "prompt" | "config" | "moderate" | "panic" | "schedule"} Permission
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
 * @property {boolean} [recaches] a prompt can ask for the past to be read again under it
 * @property {{guidance: number | null, seed: number | null}} config
 * @property {number} media_time seconds
 * @property {number | null} chunk
 * @property {number} viewers
 * @property {Permission[]} can
 * @property {{id: string, text: string, category: string | null}[]} [held] prompts that wait for an operator's word
 * @property {"none" | "hold" | "slate" | "black"} [cover] what is shown in the programme's place
 * @property {boolean} [muted]
 * @property {boolean} [paused] no chunks are made
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
 * @typedef {{id: string, text: string, votes: number, share: number, names: string[], playing: number}} AudienceOption
 * @typedef {{id: string, stage: string, text: string, status: "held" | "open", supporters: number, names: string[],
 *   listed: boolean, category: string | null}} QueuedProposal
 *
 * @typedef {object} Audience the vote as it stands; a higher `revision` replaces a lower one
 * @property {"audience"} type
 * @property {number} revision
 * @property {"single" | "cascade" | "continuous"} mode
 * @property {"idle" | "collect" | "vote" | "result"} phase
 * @property {boolean} paused
 * @property {string} round
 * @property {string | null} ballot what a vote names
 * @property {string} stage
 * @property {string[]} stages
 * @property {AudienceOption[]} options
 * @property {number} voters
 * @property {number} proposals that wait for a ballot
 * @property {number | null} remaining_s of the phase, when this was sent
 * @property {string[]} winners ids of options
 * @property {string | null} decided_by
 * @property {string | null} mine on joining only
 * @property {QueuedProposal[]} queue for those who may decide about them
 *
 * @typedef {{media_time: number | null, chunk: number | null, beat: number | null}} At
 * @typedef {{type: string, text?: string | null, blend?: {text: string, weight: number}[]}} Action
 * @typedef {{id: string, at: At, action: Action, loop: {every: number, times: number | null} | null}} Entry
 * @typedef {{type: "timeline", document: {entries: Entry[]}, next: {id: string, media_time: number}[]}} Timeline
 *
 * @typedef {object} Health how the channel goes; null where nothing was measured yet
 * @property {"health"} type
 * @property {number} media_time
 * @property {number | null} margin_ms before it was due the newest chunk was ready
 * @property {number | null} least_margin_ms since the message before
 * @property {number | null} realtime_ratio
 * @property {number | null} steps
 * @property {boolean} behind
 * @property {number} fps
 * @property {number | null} planned_fps
 * @property {number | null} skew_ms picture against sound, as they left
 * @property {number} late_ms
 * @property {number} viewers
 * @property {number} connections
 * @property {number} underruns
 * @property {number} restarts
 * @property {{prompts: number, p50_ms: number | null, p95_ms: number | null, last_ms: number | null}} prompt_to_packet
 * @property {{moderation: number, held: number, prompts: number, chunks: number, outbox: number}} queues
 * @property {number | null} generator_bytes
 * @property {number | null} server_bytes
 *
 * @typedef {State | Received | Held | Accepted | Rejected | Queued | Applied | Superseded | Buffering | Chunk | Pong
 *   | Audience | Timeline | Health} ServerMessage
 *
 * @typedef {{type: "prompt.set", id: string, text: string, cut?: boolean, recache?: boolean, transition_ms?: number,
 *   knobs?: Record<string, string>}} PromptSet
 * @typedef {{type: "config.update", id: string, guidance?: number, seed?: number}} ConfigUpdate
 * @typedef {{type: "ping", id: string, t: number}} Ping
 * @typedef {"hold" | "slate" | "black" | "mute" | "off"} PanicAction
 * @typedef {{type: "panic", id: string, action: PanicAction}} Panic
 * @typedef {{type: "approve", id: string, target: string}} Approve
 * @typedef {{type: "reject", id: string, target: string, message: string}} Reject
 * @typedef {{type: "propose", id: string, text: string, name?: string}} Propose
 * @typedef {{type: "vote", id: string, option: string, ballot: string | null}} Vote
 * @typedef {"start" | "stop" | "pause" | "resume" | "skip" | "extend"} ControlAction
 * @typedef {{type: "audience.control", id: string, action: ControlAction, seconds?: number}} AudienceControl
 * @typedef {{type: "unschedule", id: string, target: string}} Unschedule
 * @typedef {{type: "play" | "pause" | "reset", id: string}} Transport
 * @typedef {PromptSet | ConfigUpdate | Ping | Panic | Approve | Reject | Propose | Vote | AudienceControl | Unschedule
 *   | Transport} ClientMessage
 */

export const PROTOCOL_VERSION = 1;
export const MAX_TEXT_CHARS = 500;

const TYPES = new Set([
  "state", "received", "held", "accepted", "rejected", "queued", "applied", "superseded", "buffering", "chunk", "pong",
  "audience", "timeline", "health",
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

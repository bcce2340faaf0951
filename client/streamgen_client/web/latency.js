/**
 * Measuring in the browser: which moment of the programme is on the screen, how long a prompt took to get there, and
 * how far sound and picture are apart. No I/O: times and timestamps come in as arguments.
 */

export const VIDEO_CLOCK_HZ = 90_000;
const WRAP = 2 ** 32;

/** The value nearest to `near` that is `value` modulo 2^32. @param {number} value @param {number} near */
export function unwrap(value, near) {
  const delta = (((value - near) % WRAP) + WRAP) % WRAP;
  return near + (delta >= WRAP / 2 ? delta - WRAP : delta);
}

/**
 * Media time of a shown picture, from the RTP timestamp that the browser reports with it.
 *
 * The server starts a viewer's RTP timestamps at an offset that it names (`Streamgen-Rtp-Offset`):
 * rtpTimestamp = (offset + pts) mod 2^32, with pts in 90 kHz ticks. `chunk` messages tie pts to media time.
 */
export class MediaClock {
  /** @type {number | null} */
  #offset = null;
  #lastPts = 0;
  #anchorPts = 0;
  #anchorS = 0;

  /**
   * A new session counts from a new offset.
   *
   * @param {number | null} offset
   * @param {number | null} mediaTimeS about now: 32 bits of ticks are 13 hours, and this says which 13 hours
   */
  restart(offset, mediaTimeS) {
    this.#offset = offset;
    if (mediaTimeS !== null) this.#lastPts = Math.round(mediaTimeS * VIDEO_CLOCK_HZ);
  }

  /** From a `chunk` message. @param {number} pts @param {number} mediaTimeS */
  anchor(pts, mediaTimeS) {
    this.#anchorPts = pts;
    this.#anchorS = mediaTimeS;
  }

  /** Ticks since the channel's epoch, or null when the server named no offset. @param {number | undefined} rtpTimestamp */
  pts(rtpTimestamp) {
    if (rtpTimestamp === undefined || this.#offset === null) return null;
    this.#lastPts = unwrap(rtpTimestamp - this.#offset, this.#lastPts);
    return this.#lastPts;
  }

  /** Seconds. @param {number} pts */
  mediaTimeS(pts) {
    return this.#anchorS + (pts - this.#anchorPts) / VIDEO_CLOCK_HZ;
  }
}

const PROMPTS_KEPT = 64; // the oldest is dropped
const PICTURES_KEPT = 256; // 15 s at 50/3 pictures/s: far longer than `applied` can be late

/**
 * Prompt-to-photon: from pressing Enter to the presentation of the first picture that was made with the prompt.
 *
 * `applied` and the picture race each other (one travels over TCP, the other through a jitter buffer), so recent
 * pictures are kept and the first fitting one is found in either order.
 */
export class PromptToPhoton {
  /** id -> time of Enter, ms. @type {Map<string, number>} */
  #entered = new Map();
  /** id -> pts of its first picture. @type {Map<string, number>} */
  #applied = new Map();
  /** Oldest first. @type {{pts: number, atMs: number}[]} */
  #pictures = [];

  /** @param {string} id @param {number} atMs */
  entered(id, atMs) {
    this.#entered.set(id, atMs);
  }

  /** Superseded or rejected: it will never be seen. @param {string} id */
  forget(id) {
    this.#entered.delete(id);
    this.#applied.delete(id);
  }

  /** Nothing was presented for a while (a hidden page, a lost connection): what is under way cannot be measured. */
  interrupt() {
    this.#entered.clear();
    this.#pictures.length = 0;
  }

  /** @param {string} id @param {number} pts of the first picture made with it */
  applied(id, pts) {
    this.#applied.set(id, pts);
    // While nothing is shown here nothing is taken out either.
    for (const oldest of this.#applied.keys()) {
      if (this.#applied.size <= PROMPTS_KEPT) break;
      this.forget(oldest);
    }
  }

  /** @param {number} pts @param {number} atMs when it is presented, on the clock of `entered` */
  picture(pts, atMs) {
    // A step back means that the server started over; what was shown before is from another count.
    if (pts < (this.#pictures.at(-1)?.pts ?? pts)) this.#pictures.length = 0;
    this.#pictures.push({ pts, atMs });
    if (this.#pictures.length > PICTURES_KEPT) this.#pictures.shift();
  }

  /**
   * Prompts whose first picture has been presented since the last call; `latencyMs` is null for one that was not
   * entered here, or could not be measured.
   *
   * @returns {{id: string, latencyMs: number | null}[]}
   */
  take() {
    const done = [];
    for (const [id, pts] of this.#applied) {
      const picture = this.#pictures.find((shown) => shown.pts >= pts);
      if (picture === undefined) continue;
      const enteredAt = this.#entered.get(id);
      done.push({ id, latencyMs: enteredAt === undefined ? null : picture.atMs - enteredAt });
      this.forget(id);
    }
    return done;
  }
}

/**
 * The nearest-rank percentile, or null of nothing.
 *
 * @param {readonly number[]} values
 * @param {number} share 0..1
 */
export function percentile(values, share) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? null;
}

/**
 * @typedef {object} Reception what `getStats` says about the two incoming streams
 * @property {number | null} avSkewMs picture minus sound: positive when the picture plays later content
 * @property {number} framesDecoded
 * @property {number} framesDropped
 * @property {number} freezeCount
 * @property {number} freezesS seconds in all
 * @property {number} packetsLost picture and sound
 * @property {number | null} jitterBufferMs mean delay of the picture's jitter buffer over the session
 * @property {number} concealedSamples of sound, invented because packets were late or lost
 */

/**
 * @param {Iterable<[string, Record<string, any>]>} report an `RTCStatsReport`
 * @returns {Reception}
 */
export function reception(report) {
  /** @type {Record<string, any>} */
  let video = {};
  /** @type {Record<string, any>} */
  let audio = {};
  for (const [, entry] of report) {
    if (entry["type"] !== "inbound-rtp") continue;
    if (entry["kind"] === "video") video = entry;
    else if (entry["kind"] === "audio") audio = entry;
  }
  const shown = video["estimatedPlayoutTimestamp"];
  const heard = audio["estimatedPlayoutTimestamp"];
  const emitted = Number(video["jitterBufferEmittedCount"] ?? 0);
  return {
    avSkewMs: typeof shown === "number" && typeof heard === "number" && shown > 0 && heard > 0 ? shown - heard : null,
    framesDecoded: Number(video["framesDecoded"] ?? 0),
    framesDropped: Number(video["framesDropped"] ?? 0),
    freezeCount: Number(video["freezeCount"] ?? 0),
    freezesS: Number(video["totalFreezesDuration"] ?? 0),
    packetsLost: Number(video["packetsLost"] ?? 0) + Number(audio["packetsLost"] ?? 0),
    jitterBufferMs: emitted > 0 ? (1000 * Number(video["jitterBufferDelay"] ?? 0)) / emitted : null,
    concealedSamples: Number(audio["concealedSamples"] ?? 0),
  };
}

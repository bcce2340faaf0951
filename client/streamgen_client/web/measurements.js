/** What this page measures while it plays: which moment is on the screen, prompt-to-photon, sound against picture. */

import { MediaClock, PromptToPhoton, VIDEO_CLOCK_HZ, reception } from "./latency.js";

/** @typedef {import("./player.js").StreamgenPlayer} StreamgenPlayer */
/** @typedef {import("./player.js").PictureDetail} PictureDetail */
/** @typedef {import("./protocol.js").Applied} Applied */
/** @typedef {import("./protocol.js").Chunk} Chunk */

const SAMPLES_KEPT = 5000; // of each measurement: hours of a session, in bounded memory
const RECEPTION_EVERY_MS = 1000;

/**
 * What tests and benchmarks read: `window.streamgen`.
 *
 * @typedef {object} Metrics
 * @property {number} pictures presented since the page was opened
 * @property {number | null} lastMediaTime seconds, of the picture on the screen
 * @property {number[]} promptToPhotonMs one for each prompt entered here
 * @property {number | null} firstPictureMs from pressing play
 * @property {number[]} avSkewMs picture minus sound, once a second
 * @property {import("./player.js").PlayerState} state
 * @property {() => number[]} levels RMS of left and right now, 1 = full scale
 * @property {() => Promise<import("./latency.js").Reception | null>} reception
 */

/**
 * Events: `picture` (`{pts: number | null}`, its place on the channel's timeline); `photon` (`{id, latencyMs}`) for
 * each prompt whose first picture is on the screen; `skew`.
 */
export class Measurements extends EventTarget {
  #player;
  #clock = new MediaClock();
  #photons = new PromptToPhoton();

  /**
   * @param {StreamgenPlayer} player
   * @param {() => number[]} levels
   */
  constructor(player, levels) {
    super();
    this.#player = player;
    /** @type {Metrics} */
    this.metrics = {
      pictures: 0,
      lastMediaTime: null,
      promptToPhotonMs: [],
      firstPictureMs: null,
      avSkewMs: [],
      state: player.state,
      levels,
      reception: () => this.#reception(),
    };
    player.addEventListener("statechange", () => {
      this.metrics.state = player.state;
    });
    player.addEventListener("session", (event) => {
      const { session } = /** @type {CustomEvent<import("./whep.js").SessionDetail>} */ (event).detail;
      this.#clock.restart(session.rtpOffset, session.mediaTimeS);
      this.#photons.interrupt();
    });
    player.addEventListener("picture", (event) => {
      this.#picture(/** @type {CustomEvent<PictureDetail>} */ (event).detail);
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#photons.interrupt();
    });
    setInterval(() => void this.#skew(), RECEPTION_EVERY_MS);
  }

  /** Enter was pressed. Only what can be seen can be measured. @param {string} id @param {number} atMs */
  entered(id, atMs) {
    if (this.#player.showing) this.#photons.entered(id, atMs);
  }

  /** It will never be seen. @param {string} id */
  forget(id) {
    this.#photons.forget(id);
  }

  /** @param {Applied} message */
  applied({ id, rtp_video, media_time }) {
    this.#photons.applied(id, rtp_video ?? Math.round(media_time * VIDEO_CLOCK_HZ));
  }

  /** @param {Chunk} message */
  chunk({ rtp_video, media_time }) {
    this.#clock.anchor(rtp_video, media_time);
  }

  /** @param {PictureDetail} detail */
  #picture({ rtpTimestamp, atMs }) {
    const { metrics } = this;
    metrics.pictures = this.#player.pictures;
    metrics.firstPictureMs = this.#player.firstPictureMs;
    const pts = this.#clock.pts(rtpTimestamp);
    if (pts !== null) {
      metrics.lastMediaTime = this.#clock.mediaTimeS(pts);
      this.#photons.picture(pts, atMs);
    }
    this.dispatchEvent(new CustomEvent("picture", { detail: { pts } }));
    for (const photon of this.#photons.take()) {
      if (photon.latencyMs !== null) keep(metrics.promptToPhotonMs, photon.latencyMs);
      this.dispatchEvent(new CustomEvent("photon", { detail: photon }));
    }
  }

  async #reception() {
    const { session } = this.#player;
    if (session === null) return null;
    const report = await session.peer.getStats();
    return reception(/** @type {Iterable<[string, Record<string, any>]>} */ (/** @type {unknown} */ (report)));
  }

  async #skew() {
    if (this.#player.state !== "live") return;
    const skew = (await this.#reception())?.avSkewMs ?? null;
    if (skew === null) return;
    keep(this.metrics.avSkewMs, skew);
    this.dispatchEvent(new CustomEvent("skew"));
  }
}

/** The oldest is dropped. @param {number[]} samples @param {number} value */
function keep(samples, value) {
  samples.push(value);
  if (samples.length > SAMPLES_KEPT) samples.shift();
}

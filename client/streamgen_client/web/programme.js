/** What comes next on a channel, from everything that says so: prompts on their way, the timeline. No I/O. */

/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./protocol.js").Timeline} Timeline */
/** @typedef {import("./protocol.js").Entry} Entry */
/** @typedef {{id: string, text: string, kind: "prompt" | "scheduled", atS: number | null, stage: string}} Coming `atS`: media time */

const ACTIONS = /** @type {Record<string, string>} */ ({
  cut: "Cut", config: "New settings", hold: "Hold the picture", slate: "Slate", black: "Black", resume: "Back to the programme",
});

/** What an entry of the timeline does, to be read. @param {Entry} entry */
export function entryText({ action }) {
  if (action.text) return action.text;
  const blend = action.blend ?? [];
  const total = blend.reduce((sum, { weight }) => sum + weight, 0);
  if (blend.length === 1) return /** @type {{text: string}} */ (blend[0]).text;
  if (blend.length > 0) return blend.map(({ text, weight }) => `${Math.round((100 * weight) / total)} % ${text}`).join(" + ");
  return ACTIONS[action.type] ?? action.type;
}

/**
 * Soonest first: prompts that were accepted (only the newest of them will play), then the timeline.
 *
 * @param {Pick<State, "pending"> | null} state
 * @param {Timeline | null} timeline
 * @param {number} mediaTimeS of now
 * @param {(id: string) => number | null} landsAtS media time at which a prompt is expected
 * @returns {Coming[]}
 */
export function coming(state, timeline, mediaTimeS, landsAtS) {
  /** @type {Coming[]} */
  const found = (state?.pending ?? [])
    .filter(({ stage }) => stage === "accepted" || stage === "queued" || stage === "received")
    .map(({ id, text, stage }) => ({ id, text, kind: "prompt", atS: landsAtS(id), stage }));
  const entries = new Map((timeline?.document.entries ?? []).map((entry) => [entry.id, entry]));
  for (const { id, media_time } of timeline?.next ?? []) {
    const entry = entries.get(id);
    if (entry === undefined || media_time < mediaTimeS) continue;
    found.push({ id, text: entryText(entry), kind: "scheduled", atS: media_time, stage: "scheduled" });
  }
  return found.sort((a, b) => (a.atS ?? mediaTimeS) - (b.atS ?? mediaTimeS));
}

/** The media time of now, from the newest message that told one. */
export class MediaNow {
  #mediaS = 0;
  #atMs = 0;
  #runs = false;

  /** @param {number} mediaTimeS @param {number} nowMs */
  told(mediaTimeS, nowMs) {
    this.#mediaS = mediaTimeS;
    this.#atMs = nowMs;
    this.#runs = true;
  }

  /** Nobody tells it any more: it stands. @param {number} nowMs */
  stop(nowMs) {
    this.#mediaS = this.at(nowMs);
    this.#atMs = nowMs;
    this.#runs = false;
  }

  /** Seconds of media time. @param {number} nowMs */
  at(nowMs) {
    return this.#runs ? this.#mediaS + (nowMs - this.#atMs) / 1000 : this.#mediaS;
  }
}

/** How loud the stream is, left and right: read from the stream itself, so it also moves while the page is muted. */

const WINDOW = 1024; // samples that one reading looks at: 21 ms at 48 kHz
const FLOOR_DB = -54; // the empty end of the meter
const EVERY_MS = 40; // 25 readings a second
const FALL_PER_READING = 0.05; // of the meter's length: from full to empty in 0.8 s
const CHANNELS = 2;

/** Root mean square. @param {ArrayLike<number>} samples */
export function rms(samples) {
  let sum = 0;
  for (let i = 0; i < samples.length; i += 1) sum += (samples[i] ?? 0) ** 2;
  return samples.length === 0 ? 0 : Math.sqrt(sum / samples.length);
}

/** Length of the meter's bar, 0..1, linear in decibels. @param {number} level RMS, 1 = full scale */
export function barLength(level) {
  if (!(level > 0)) return 0;
  return Math.min(1, Math.max(0, 1 - (20 * Math.log10(level)) / FLOOR_DB));
}

/** Rises at once, falls slowly. @param {number} before 0..1 @param {number} now 0..1 */
export function settle(before, now) {
  return Math.max(now, before - FALL_PER_READING, 0);
}

/** Two bars that follow a stream's sound. `watch` a stream after a click or key press: browsers keep audio asleep before. */
export class Levels {
  #bars;
  #shown = [0, 0];
  #samples = new Float32Array(WINDOW);
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {{source: MediaStreamAudioSourceNode, ears: AnalyserNode[]} | null} */
  #tap = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {readonly HTMLElement[]} bars left and right; their width follows `--level` */
  constructor(bars) {
    this.#bars = bars;
  }

  /** RMS of left and right now, 1 = full scale. */
  get rms() {
    return (this.#tap?.ears ?? []).map((ear) => {
      ear.getFloatTimeDomainData(this.#samples);
      return rms(this.#samples);
    });
  }

  /** @param {MediaStream} stream with a sound track */
  watch(stream) {
    this.stop();
    const context = (this.#context ??= new AudioContext({ latencyHint: "playback" }));
    const source = context.createMediaStreamSource(stream);
    const splitter = context.createChannelSplitter(CHANNELS);
    const ears = Array.from({ length: CHANNELS }, (_, channel) => {
      const ear = new AnalyserNode(context, { fftSize: WINDOW });
      splitter.connect(ear, channel);
      return ear;
    });
    source.connect(splitter);
    this.#tap = { source, ears };
    this.#timer = setInterval(() => this.#read(), EVERY_MS);
  }

  /** A click or key press has happened: audio may wake up. */
  wake() {
    if (this.#context?.state === "suspended") void this.#context.resume();
  }

  stop() {
    clearInterval(this.#timer);
    this.#tap?.source.disconnect();
    this.#tap = null;
    this.#show([0, 0]);
  }

  #read() {
    if (document.hidden) return;
    const now = this.rms.map(barLength);
    this.#show(this.#shown.map((before, channel) => settle(before, now[channel] ?? 0)));
  }

  /** @param {number[]} lengths */
  #show(lengths) {
    this.#shown = lengths;
    this.#bars.forEach((bar, channel) => bar.style.setProperty("--level", (lengths[channel] ?? 0).toFixed(3)));
  }
}

/**
 * The light that the picture throws on the wall behind it: a few dozen pixels of the video, smoothed over time and
 * stretched by the compositor. Costs one tiny draw every quarter of a second.
 */

const WIDTH = 20;
const HEIGHT = 12;
const EVERY_MS = 240;
const BLEND = 0.35; // share of the new picture: the light follows within about a second and never flickers

export class Glow {
  #canvas;
  #context;
  #drawnAtMs = -Infinity;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    canvas.width = WIDTH;
    canvas.height = HEIGHT;
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
  }

  /**
   * @param {HTMLVideoElement} video
   * @param {number} nowMs
   * @returns {[number, number, number] | null} the mean colour (sRGB 0..255) when it was drawn anew
   */
  picture(video, nowMs) {
    const context = this.#context;
    if (context === null || nowMs - this.#drawnAtMs < EVERY_MS) return null;
    context.globalAlpha = this.#drawnAtMs === -Infinity ? 1 : BLEND;
    this.#drawnAtMs = nowMs;
    context.drawImage(video, 0, 0, WIDTH, HEIGHT);
    const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
    /** @type {[number, number, number]} */
    const sum = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4) {
      sum[0] += data[i] ?? 0;
      sum[1] += data[i + 1] ?? 0;
      sum[2] += data[i + 2] ?? 0;
    }
    const count = data.length / 4;
    return [sum[0] / count, sum[1] / count, sum[2] / count];
  }

  /** Dark again. */
  clear() {
    this.#context?.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#drawnAtMs = -Infinity;
  }
}

/** How the channel goes, as tiles with small plots: one glance says whether anything is wrong, a second one what. */

import { made, write } from "./page.js";
import { Series, path, scale } from "./series.js";

/** @typedef {import("./protocol.js").Health} Health */
/** @typedef {"good" | "watch" | "bad" | "none"} Tone */
/**
 * @typedef {object} Tile
 * @property {string} name
 * @property {string} unit
 * @property {string} title what it means, for whoever points at it
 * @property {((health: Health, skewMs: number | null) => number | null)[]} lines the first is the headline
 * @property {(health: Health, skewMs: number | null) => string} detail
 * @property {(health: Health, skewMs: number | null) => Tone} tone
 * @property {number} [digits]
 * @property {number} [limit] drawn as a dashed line
 */

const WIDTH = 160;
const HEIGHT = 36;
const SVG = "http://www.w3.org/2000/svg";
const TIGHT_MS = 20; // of margin: the next hiccup of the machine is a late chunk
const SKEW_SEEN_MS = 45; // EBU R37: sound up to 40 ms early or 60 ms late goes unnoticed
const SLOW_MS = 1500;

/** @param {number | null} value @param {number} [digits] */
export function figure(value, digits = 0) {
  return value === null ? "–" : value.toFixed(digits).replace("-", "−");
}

/** @param {number | null} bytes */
function megabytes(bytes) {
  return bytes === null ? null : bytes / 1e6;
}

/** @type {readonly Tile[]} */
export const TILES = [
  {
    name: "Deadline margin", unit: "ms", limit: 0,
    title: "How long before it is due a chunk is ready: the least of the last second",
    lines: [({ least_margin_ms, margin_ms }) => least_margin_ms ?? margin_ms],
    detail: ({ steps, realtime_ratio }) => `${figure(realtime_ratio, 2)}× real time · ${figure(steps)} steps`,
    tone: ({ least_margin_ms, margin_ms, behind }) => {
      const margin = least_margin_ms ?? margin_ms;
      if (margin === null) return "none";
      return behind || margin < 0 ? "bad" : margin < TIGHT_MS ? "watch" : "good";
    },
  },
  {
    name: "Pictures", unit: "/s", digits: 1,
    title: "Pictures that play per second",
    lines: [({ fps }) => fps],
    detail: ({ underruns, restarts }) =>
      `${underruns} underruns · ${restarts} restarts`,
    tone: ({ fps, planned_fps }) => {
      if (planned_fps === null) return "none";
      return fps < 0.5 * planned_fps ? "bad" : fps < 0.95 * planned_fps ? "watch" : "good";
    },
  },
  {
    name: "Prompt to packet", unit: "ms",
    title: "From taking a prompt to the first packet made with it, measured by the server: median, and 95th percentile",
    lines: [({ prompt_to_packet }) => prompt_to_packet.p50_ms, ({ prompt_to_packet }) => prompt_to_packet.p95_ms],
    detail: ({ prompt_to_packet: { p95_ms, last_ms, prompts } }) =>
      prompts === 0 ? "no prompt yet" : `p95 ${figure(p95_ms)} · last ${figure(last_ms)} · of ${prompts}`,
    tone: ({ prompt_to_packet: { p95_ms } }) => (p95_ms === null ? "none" : p95_ms > SLOW_MS ? "watch" : "good"),
  },
  {
    name: "Picture − sound", unit: "ms", limit: 0,
    title: "How much later than the sound the picture is: as this browser plays them, and as they left the server",
    lines: [({ skew_ms }, here) => here ?? skew_ms],
    detail: ({ skew_ms }, here) => `${here === null ? "not played here" : "played here"} · left ${figure(skew_ms, 1)}`,
    tone: ({ skew_ms }, here) => {
      const skew = here ?? skew_ms;
      if (skew === null) return "none";
      return Math.abs(skew) > 2 * SKEW_SEEN_MS ? "bad" : Math.abs(skew) > SKEW_SEEN_MS ? "watch" : "good";
    },
  },
  {
    name: "Viewers", unit: "",
    title: "Viewers that receive media, and clients that are connected for steering",
    lines: [({ viewers }) => viewers],
    detail: ({ connections }) => `${connections} steering`,
    tone: () => "none",
  },
  {
    name: "Queues", unit: "",
    title: "What waits: texts for a verdict, prompts for an operator, prompts for the media, chunks, messages",
    lines: [({ queues }) => queues.moderation + queues.held + queues.prompts],
    detail: ({ queues: { moderation, held, prompts, chunks, outbox } }) =>
      `held ${held} · check ${moderation} · air ${prompts} · out ${outbox} · chunks ${chunks}`,
    tone: ({ queues: { moderation, outbox } }) => (moderation > 16 || outbox > 128 ? "watch" : "none"),
  },
  {
    name: "Server late", unit: "ms", digits: 1,
    title: "The latest packet of the last second: how long the server was busy with other things",
    lines: [({ late_ms }) => late_ms],
    detail: ({ generator_bytes, server_bytes }) =>
      `${figure(megabytes(server_bytes))} + ${figure(megabytes(generator_bytes))} MB`,
    tone: ({ late_ms }) => (late_ms > 60 ? "bad" : late_ms > 20 ? "watch" : "good"),
  },
];

/** @type {Record<Tone, string>} */
const TONE_WORDS = { good: "", none: "", watch: "watch", bad: "bad" };

export class HealthPanel {
  #tiles;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#tiles = TILES.map((tile) => {
      const box = made("div", "tile");
      box.title = tile.title;
      const value = made("output", "value", "–");
      const flag = made("span", "flag");
      const head = made("p", "head");
      head.append(made("span", "name", tile.name), flag);
      const line = made("p", "line");
      line.append(value, made("span", "unit", tile.unit));
      const detail = made("p", "detail");
      const plot = document.createElementNS(SVG, "svg");
      plot.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
      plot.setAttribute("preserveAspectRatio", "none");
      plot.setAttribute("aria-hidden", "true");
      const limit = stroke(plot, "limit");
      const lines = tile.lines.map((_, i) => stroke(plot, i === 0 ? "main" : "second"));
      box.append(head, line, plot, detail);
      root.append(box);
      return { tile, box, value, flag, detail, limit, lines, series: tile.lines.map(() => new Series()) };
    });
  }

  /** @param {Health} health @param {number | null} skewMs picture against sound, as this browser plays them */
  show(health, skewMs) {
    for (const { tile, box, value, flag, detail, limit, lines, series } of this.#tiles) {
      tile.lines.forEach((read, i) => series[i]?.add(read(health, skewMs)));
      const range = scale(series.map(({ values }) => values), [0, tile.limit ?? 0]);
      series.forEach(({ values }, i) => lines[i]?.setAttribute("d", path(values, range, { width: WIDTH, height: HEIGHT })));
      if (tile.limit !== undefined) {
        const y = HEIGHT - ((tile.limit - range[0]) / (range[1] - range[0])) * HEIGHT;
        limit.setAttribute("d", `M0 ${y.toFixed(1)}H${WIDTH}`);
      }
      const tone = tile.tone(health, skewMs);
      box.dataset["tone"] = tone;
      write(flag, TONE_WORDS[tone]); // never by colour alone
      write(value, figure(series[0]?.last ?? null, tile.digits ?? 0));
      const words = tile.detail(health, skewMs);
      write(detail, words);
      box.title = `${tile.title}\n${words}`; // a narrow tile shows only the beginning
    }
  }

  /** Nobody says how it goes. */
  lose() {
    for (const { box, value, flag } of this.#tiles) {
      box.dataset["tone"] = "none";
      write(value, "–");
      write(flag, "");
    }
  }
}

/** @param {SVGElement} plot @param {string} className */
function stroke(plot, className) {
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("class", className);
  line.setAttribute("vector-effect", "non-scaling-stroke");
  plot.append(line);
  return line;
}

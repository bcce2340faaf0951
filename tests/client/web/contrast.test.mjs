// Contrast of the pages' colours, from the style sheets themselves: WCAG 2.2, 1.4.3 (text, 4.5) and 1.4.11 (controls, 3).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const WEB = new URL("../../../client/streamgen_client/web/", import.meta.url);
const sheet = (name) => readFileSync(new URL(name, WEB), "utf8");
const variables = (css) => Object.fromEntries([...css.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})\b/g)].map(([, name, value]) => [name, value]));

function channels(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function luminance(rgb) {
  const [red, green, blue] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const tones = variables(sheet("tones.css"));
const GROUNDS = ["ground", "panel", "raised"];
// Grounds of one rule only: what was decided, what is one's own, the row of panic.
const OWN = ["#0f2b20", "#13233d", "#0d0f14"];

test("the arithmetic is that of WCAG", () => {
  assert.ok(Math.abs(contrast([0, 0, 0], [255, 255, 255]) - 21) < 1e-9);
  assert.ok(Math.abs(contrast(channels("#777777"), [255, 255, 255]) - 4.48) < 0.01);
});

test("every text can be read on every ground", () => {
  for (const ground of [...GROUNDS.map((name) => tones[name]), ...OWN]) {
    for (const text of ["text", "soft", "faint", "good", "wait", "bad", "accent"]) {
      const ratio = contrast(channels(tones[text]), channels(ground));
      assert.ok(ratio >= 4.5, `${text} on ${ground}: ${ratio.toFixed(2)}`);
    }
  }
});

test("what can be pressed has an edge that can be seen, and the focus ring too", () => {
  for (const ground of GROUNDS) {
    for (const edge of ["edge", "accent"]) {
      const ratio = contrast(channels(tones[edge]), channels(tones[ground]));
      assert.ok(ratio >= 3, `${edge} on ${ground}: ${ratio.toFixed(2)}`);
    }
  }
});

test("panic can be read, at rest and in force", () => {
  assert.ok(contrast(channels(tones["on-alarm"]), channels(tones["alarm"])) >= 4.5);
  assert.ok(contrast(channels(tones["on-alarm-dim"]), channels(tones["alarm-dim"])) >= 4.5);
  assert.ok(contrast(channels(tones["alarm"]), channels(tones["alarm-dim"])) >= 3);
  assert.ok(contrast(channels(tones["on-accent"]), channels(tones["accent"])) >= 4.5);
});

test("the overlay can be read over a white picture", () => {
  const css = sheet("overlay.css");
  const [, red, green, blue, alpha] = css.match(/--plate: rgb\((\d+) (\d+) (\d+) \/ ([\d.]+)\)/).map(Number);
  const plate = [red, green, blue].map((value) => value * alpha + 255 * (1 - alpha));
  const own = variables(css);
  for (const text of ["text", "soft", "accent"]) {
    const ratio = contrast(channels(own[text]), plate);
    assert.ok(ratio >= 4.5, `${text} on the plate: ${ratio.toFixed(2)}`);
  }
});

test("every colour in the sheets is one that is checked here", () => {
  const known = new Set([...Object.values(tones), ...OWN, "#000", "#000000"]);
  // Edges, and text on one ground of its own: checked by hand below.
  const pairs = { "#1c1300": tones["wait"] };
  const edges = new Set(["#2c4a7a", "#23654a"]);
  const hovers = { "#47191f": tones["on-alarm-dim"] };
  for (const name of ["operator.css", "audience.css"]) {
    for (const [colour] of sheet(name).matchAll(/#[0-9a-f]{3,8}\b(?=[;\s)])/g)) {
      assert.ok(known.has(colour) || colour in pairs || colour in hovers || edges.has(colour), `${name}: ${colour}`);
    }
  }
  for (const [colour, other] of Object.entries({ ...pairs, ...hovers })) {
    assert.ok(contrast(channels(colour), channels(other)) >= 4.5, colour);
  }
});

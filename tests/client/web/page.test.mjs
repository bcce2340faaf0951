import assert from "node:assert/strict";
import { test } from "node:test";

import { barLength, rms, settle } from "../../../client/streamgen_client/web/levels.js";
import { clock, milliseconds } from "../../../client/streamgen_client/web/meter.js";
import { MAX_TEXT_CHARS } from "../../../client/streamgen_client/web/protocol.js";
import { SUGGESTIONS, shuffled } from "../../../client/streamgen_client/web/suggestions.js";

test("levels are RMS, shown linear in decibels over 54 dB", () => {
  assert.equal(rms([]), 0);
  assert.equal(rms([1, -1, 1, -1]), 1);
  assert.equal(barLength(1), 1);
  assert.equal(barLength(0), 0);
  assert.equal(barLength(NaN), 0);
  assert.ok(Math.abs(barLength(10 ** (-27 / 20)) - 0.5) < 1e-9);
  assert.equal(barLength(1e-9), 0);
});

test("a bar rises at once and falls slowly to zero", () => {
  assert.equal(settle(0.2, 0.9), 0.9);
  assert.ok(Math.abs(settle(0.9, 0.1) - 0.85) < 1e-9);
  assert.equal(settle(0.01, 0), 0);
});

test("figures are written for people", () => {
  assert.equal(clock(3725.9), "1:02:05");
  assert.equal(milliseconds(null), "–");
  assert.equal(milliseconds(812.4), "812 ms");
});

test("suggestions are prompts that the server accepts, each once", () => {
  assert.equal(new Set(SUGGESTIONS).size, SUGGESTIONS.length);
  for (const text of SUGGESTIONS) assert.ok(text.length > 0 && text.length <= MAX_TEXT_CHARS && text === text.trim());
});

test("shuffling keeps every suggestion", () => {
  let seed = 1;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const other = shuffled(SUGGESTIONS, random);
  assert.notDeepEqual(other, SUGGESTIONS);
  assert.deepEqual([...other].sort(), [...SUGGESTIONS].sort());
});

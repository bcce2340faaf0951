import assert from "node:assert/strict";
import { test } from "node:test";

import { MediaClock, PromptToPhoton, percentile, reception, unwrap } from "../../../client/streamgen_client/web/latency.js";

const PICTURE_TICKS = 7200; // 12.5 pictures/s in ticks of 90 kHz

test("a value is unwrapped to the nearest one on either side of 2^32", () => {
  assert.equal(unwrap(5, 2 ** 32 - 5), 2 ** 32 + 5);
  assert.equal(unwrap(2 ** 32 - 5, 2 ** 32 + 5), 2 ** 32 - 5);
  assert.equal(unwrap(-3, 0), -3);
});

test("pts is the RTP timestamp less the offset, modulo 2^32", () => {
  const clock = new MediaClock();
  clock.restart(2 ** 32 - 1000, 0);
  assert.equal(clock.pts(2 ** 32 - 1000), 0);
  assert.equal(clock.pts(6200), PICTURE_TICKS);
});

test("a viewer who joins after 13 hours of programme is on the right lap", () => {
  const clock = new MediaClock();
  const mediaTimeS = 100_000;
  const pts = mediaTimeS * 90_000;
  clock.restart(77, mediaTimeS);
  assert.equal(clock.pts((pts + 77) % 2 ** 32), pts);
});

test("without an offset no picture can be placed", () => {
  const clock = new MediaClock();
  clock.restart(null, null);
  assert.equal(clock.pts(12345), null);
  clock.restart(0, 0);
  assert.equal(clock.pts(undefined), null);
});

test("chunks tie pts to media time", () => {
  const clock = new MediaClock();
  clock.anchor(90_000, 2.5);
  assert.equal(clock.mediaTimeS(90_000 + PICTURE_TICKS), 2.58);
});

/** @param {PromptToPhoton} photons */
function show(photons, count) {
  for (let k = 0; k < count; k += 1) photons.picture(k * PICTURE_TICKS, 1000 + 80 * k);
}

test("prompt-to-photon is the same whichever of `applied` and the picture comes first", () => {
  for (const appliedFirst of [true, false]) {
    const photons = new PromptToPhoton();
    photons.entered("a", 900);
    if (appliedFirst) photons.applied("a", 3 * PICTURE_TICKS);
    show(photons, 6);
    if (!appliedFirst) photons.applied("a", 3 * PICTURE_TICKS);
    assert.deepEqual(photons.take(), [{ id: "a", latencyMs: 340 }]);
    assert.deepEqual(photons.take(), []);
  }
});

test("a lost picture is measured at the next one", () => {
  const photons = new PromptToPhoton();
  photons.entered("a", 900);
  photons.applied("a", 3 * PICTURE_TICKS);
  photons.picture(2 * PICTURE_TICKS, 1000);
  assert.deepEqual(photons.take(), []);
  photons.picture(4 * PICTURE_TICKS, 1160);
  assert.deepEqual(photons.take(), [{ id: "a", latencyMs: 260 }]);
});

test("somebody else's prompt, and one that was interrupted, have no latency", () => {
  const photons = new PromptToPhoton();
  photons.entered("mine", 900);
  photons.interrupt();
  photons.applied("mine", 0);
  photons.applied("theirs", 0);
  show(photons, 1);
  assert.deepEqual(photons.take(), [{ id: "mine", latencyMs: null }, { id: "theirs", latencyMs: null }]);
});

test("a forgotten prompt is not measured", () => {
  const photons = new PromptToPhoton();
  photons.entered("a", 900);
  photons.forget("a");
  show(photons, 2);
  assert.deepEqual(photons.take(), []);
});

test("when the timeline starts over, older pictures say nothing about new prompts", () => {
  const photons = new PromptToPhoton();
  photons.entered("a", 900);
  photons.picture(1_000_000, 1000);
  photons.picture(0, 2000);
  photons.applied("a", 2 * PICTURE_TICKS);
  assert.deepEqual(photons.take(), []);
});

test("memory stays bounded while nothing is shown", () => {
  const photons = new PromptToPhoton();
  for (let i = 0; i < 1000; i += 1) {
    photons.entered(String(i), i);
    photons.applied(String(i), 0);
  }
  photons.picture(0, 5000);
  assert.equal(photons.take().length, 64);
});

test("percentiles are nearest-rank", () => {
  assert.equal(percentile([], 0.5), null);
  assert.equal(percentile([30, 10, 20], 0.5), 20);
  assert.equal(percentile(Array.from({ length: 100 }, (_, i) => i + 1), 0.95), 95);
});

test("reception reads both inbound streams", () => {
  const report = new Map(Object.entries({
    a: { type: "inbound-rtp", kind: "audio", estimatedPlayoutTimestamp: 1000, packetsLost: 1, concealedSamples: 7 },
    v: { type: "inbound-rtp", kind: "video", estimatedPlayoutTimestamp: 1040, packetsLost: 2, framesDecoded: 50,
      jitterBufferDelay: 2, jitterBufferEmittedCount: 50 },
    t: { type: "transport" },
  }));
  const seen = reception(report);
  assert.equal(seen.avSkewMs, 40);
  assert.equal(seen.packetsLost, 3);
  assert.equal(seen.framesDecoded, 50);
  assert.equal(seen.jitterBufferMs, 40);
  assert.equal(seen.concealedSamples, 7);
  assert.equal(reception(new Map()).avSkewMs, null);
});

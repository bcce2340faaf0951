import assert from "node:assert/strict";
import { test } from "node:test";

import { TILES, figure } from "../../../client/streamgen_client/web/health-panel.js";
import { commandOf } from "../../../client/streamgen_client/web/keys.js";
import { BLEND_MS, askedOfPast } from "../../../client/streamgen_client/web/past.js";
import { MediaNow, coming, entryText } from "../../../client/streamgen_client/web/programme.js";
import { Review } from "../../../client/streamgen_client/web/review.js";
import { KEPT, Series, path, scale } from "../../../client/streamgen_client/web/series.js";
import { laid, place } from "../../../client/streamgen_client/web/strip.js";

// What waits for a word ---------------------------------------------------------------------------------------------

const held = (...ids) => ({ held: ids.map((id) => ({ id, text: id, category: null })) });
const proposal = (id, status) => ({ id, stage: "prompt", text: id, status, supporters: 2, names: ["Ada"], listed: false, category: null });
const ids = (review) => review.items.map(({ id }) => id);

test("what needs a word comes before what is through, prompts before proposals", () => {
  const review = new Review();
  review.takeAudience({ queue: [proposal("open", "open"), proposal("waits", "held")] });
  review.takeState(held("a", "b"));
  assert.deepEqual(ids(review), ["a", "b", "waits", "open"]);
  assert.equal(review.waiting, 3);
});

test("the selection stays with its item while others come and go, and moves on when it is decided", () => {
  const review = new Review();
  review.takeState(held("a", "b", "c"));
  assert.equal(review.selected, "a");
  review.move(1);
  review.takeState(held("new", "a", "b", "c"));
  assert.equal(review.selected, "b");
  review.decided("b", "reject");
  assert.equal(review.selected, "c");
  assert.deepEqual(ids(review), ["new", "a", "c"]);
  review.decided("c", "approve"); // the last of them: the one before takes its place
  assert.equal(review.selected, "a");
  review.move(1);
  assert.equal(review.selected, "a");
  review.move(-1);
  review.move(-1);
  assert.equal(review.selected, "new");
});

test("a message that was sent before the word does not bring an item back, a refusal does", () => {
  const review = new Review();
  review.takeState(held("a", "b"));
  review.decided("a", "approve");
  review.takeState(held("a", "b"));
  assert.deepEqual(ids(review), ["b"]);
  review.undo("a");
  assert.deepEqual(ids(review), ["a", "b"]);
});

test("a connection that comes back keeps the selection, and forgets what only the one before knew", () => {
  const review = new Review();
  review.takeState(held("a", "b"));
  review.takeAudience({ queue: [proposal("p", "held")] });
  review.move(1);
  review.decided("a", "approve");
  review.reconnected();
  review.takeState(held("a", "b"));
  assert.deepEqual([ids(review), review.selected], [["a", "b"], "b"]);
  review.takeState(held());
  assert.deepEqual([review.items.length, review.selected, review.current], [0, null, null]);
});

test("when the selected item vanishes by itself nothing is selected until somebody chooses", () => {
  const review = new Review();
  review.takeState(held("a", "b", "c"));
  review.move(1);
  review.takeState(held("a", "c"));
  assert.deepEqual([review.selected, review.current], [null, null]);
  review.takeState(held()); // nor does what comes later take its place
  review.takeState(held("d"));
  assert.equal(review.selected, null);
  review.decided("d", "reject"); // of which somebody wrote the reason meanwhile
  review.takeState(held("d", "e"));
  assert.equal(review.selected, null);
  review.move(1);
  assert.equal(review.selected, "e");
  review.takeState(held("f"));
  review.select("f");
  assert.equal(review.selected, "f");
});

test("what is selected by itself settles before it can be decided, what somebody chose is settled", () => {
  let nowMs = 1000;
  const review = new Review(() => nowMs);
  review.takeState(held("a", "b", "c"));
  assert.equal(review.settled, false);
  nowMs += 400;
  assert.equal(review.settled, true);
  review.decided("a", "approve");
  assert.deepEqual([review.selected, review.settled], ["b", false]);
  nowMs += 399;
  assert.equal(review.settled, false);
  review.takeState(held("b", "c")); // a message changes nothing about it
  nowMs += 1;
  assert.equal(review.settled, true);
  review.decided("b", "reject");
  review.takeState(held("c", "d"));
  review.move(1);
  assert.deepEqual([review.selected, review.settled], ["d", true]);
  review.decided("d", "reject");
  review.move(1); // the last one already: it is chosen all the same
  assert.deepEqual([review.selected, review.settled], ["c", true]);
});

test("what was approved is back once it is through, and when it is held anew; what was turned away is not", () => {
  const review = new Review();
  review.takeAudience({ queue: [proposal("p", "held"), proposal("q", "held")] });
  review.decided("p", "approve");
  review.decided("q", "reject");
  review.takeAudience({ queue: [proposal("p", "held"), proposal("q", "held")] });
  assert.deepEqual(ids(review), []);
  review.takeAudience({ queue: [proposal("p", "open"), proposal("q", "open")] });
  assert.deepEqual(ids(review), ["p"]);
  assert.equal(review.waiting, 0);
  review.takeAudience({ queue: [proposal("p", "held")] });
  assert.deepEqual([ids(review), review.waiting], [["p"], 1]);
});

// Keys --------------------------------------------------------------------------------------------------------------

const key = (name, more = {}) => ({ key: name, ctrlKey: false, metaKey: false, altKey: false, repeat: false, ...more });

test("function keys are panic wherever the focus is, digits outside text only", () => {
  for (const [name, digit, action] of [["F1", "1", "hold"], ["F2", "2", "slate"], ["F3", "3", "black"], ["F4", "4", "mute"], ["F8", "0", "off"]]) {
    for (const typing of [true, false]) assert.deepEqual(commandOf(key(name), typing), { panic: action });
    assert.deepEqual(commandOf(key(digit), false), { panic: action });
    assert.equal(commandOf(key(digit), true), null);
  }
});

test("escape leaves, and never takes a cover away", () => {
  for (const typing of [true, false]) assert.equal(commandOf(key("Escape"), typing), "leave");
});

test("letters decide outside text only, once for each press, and no shortcut of the browser is taken", () => {
  assert.deepEqual(commandOf(key("a"), false), { review: "approve" });
  assert.deepEqual(commandOf(key("r"), false), { review: "reject" });
  assert.deepEqual(commandOf(key("R"), false), { review: "explain" });
  assert.deepEqual(commandOf(key("j", { repeat: true }), false), { review: "next" });
  for (const name of ["a", "r", "F3"]) assert.equal(commandOf(key(name, { repeat: true }), false), null);
  for (const name of ["a", "j", "/", "?"]) assert.equal(commandOf(key(name), true), null);
  for (const modifier of ["ctrlKey", "metaKey", "altKey"]) {
    for (const name of ["a", "r", "1", "F1", "F4"]) assert.equal(commandOf(key(name, { [modifier]: true }), false), null);
  }
  for (const name of ["x", "constructor", "toString"]) assert.equal(commandOf(key(name), false), null);
});

// Plots -------------------------------------------------------------------------------------------------------------

test("a series is bounded, and its newest value is at the right edge", () => {
  const series = new Series();
  for (let i = 0; i < KEPT + 5; i += 1) series.add(i);
  assert.equal(series.values.length, KEPT);
  assert.equal(series.last, KEPT + 4);
  assert.equal(path([5, 5], [0, 10], { width: KEPT - 1, height: 10 }), `M${KEPT - 2}.0 5.0L${KEPT - 1}.0 5.0`);
});

test("a line breaks where nothing was measured", () => {
  const drawn = path([1, null, 2, 2], [0, 2], { width: KEPT - 1, height: 2 });
  assert.equal(drawn.match(/M/g)?.length, 2);
  assert.equal(path([null, null], [0, 1], { width: 1, height: 1 }), "");
});

test("a scale shows all values and the limit, and is never empty", () => {
  const [low, high] = scale([[5, null, -3]], [0]);
  assert.ok(low < -3 && high > 5);
  assert.equal(scale([[40, 50]])[0], 0);
  const flat = scale([[0, 0]]);
  assert.ok(flat[1] > flat[0]);
});

const HEALTH = {
  type: "health", media_time: 1, margin_ms: 60, least_margin_ms: 50, realtime_ratio: 1.6, steps: 4, behind: false, fps: 16.67,
  planned_fps: 16.67, skew_ms: 1, late_ms: 2, viewers: 1, connections: 1, underruns: 0, restarts: 0,
  prompt_to_packet: { prompts: 3, p50_ms: 500, p95_ms: 700, last_ms: 510 },
  queues: { moderation: 0, held: 1, prompts: 0, chunks: 1, outbox: 0 }, generator_bytes: 4e8, server_bytes: 1.5e8,
};
const tone = (name, change, here = null) => TILES.find((tile) => tile.name === name).tone({ ...HEALTH, ...change }, here);

test("tiles say good, watch and bad, and nothing where nothing was measured", () => {
  assert.equal(tone("Deadline margin", {}), "good");
  assert.equal(tone("Deadline margin", { least_margin_ms: 12 }), "watch");
  assert.equal(tone("Deadline margin", { least_margin_ms: -1 }), "bad");
  assert.equal(tone("Deadline margin", { least_margin_ms: null, margin_ms: null }), "none");
  assert.equal(tone("Pictures", { fps: 15 }), "watch");
  assert.equal(tone("Pictures", { fps: 0 }), "bad");
  assert.equal(tone("Picture − sound", {}, -100), "bad"); // what is played here counts more than what left
  assert.equal(tone("Picture − sound", {}, null), "good");
  assert.equal(tone("Server late", { late_ms: 30 }), "watch");
  assert.equal(tone("Queues", { queues: { ...HEALTH.queues, moderation: 20 } }), "watch");
  assert.equal(figure(-1.25, 1), "−1.3");
  assert.equal(figure(null), "–");
});

// What comes next ---------------------------------------------------------------------------------------------------

const entry = (id, text) => ({ id, at: { media_time: 1, chunk: null, beat: null }, action: { type: "prompt", text }, loop: null });

test("what comes next is prompts and the timeline, soonest first, without what is over", () => {
  const state = {
    pending: [
      { id: "old", text: "old", stage: "superseded" }, { id: "p", text: "rain", stage: "queued" },
    ],
  };
  const timeline = {
    type: "timeline", document: { entries: [entry("a", "dawn"), entry("b", "dusk")] },
    next: [{ id: "a", media_time: 5 }, { id: "b", media_time: 20 }, { id: "a", media_time: 65 }, { id: "gone", media_time: 70 }],
  };
  const next = coming(state, timeline, 10, (id) => (id === "p" ? 10.4 : null));
  assert.deepEqual(next.map(({ id, atS }) => [id, atS]), [["p", 10.4], ["b", 20], ["a", 65]]);
  assert.deepEqual(coming(null, null, 0, () => null), []);
});

test("an entry is told in words", () => {
  assert.equal(entryText(entry("a", "dawn")), "dawn");
  assert.equal(entryText({ ...entry("a"), action: { type: "cut" } }), "Cut");
  const blend = [{ text: "rain", weight: 3 }, { text: "snow", weight: 1 }];
  assert.equal(entryText({ ...entry("a"), action: { type: "transition", text: null, blend } }), "75 % rain + 25 % snow");
});

test("media time goes on by itself and stands when nobody tells it", () => {
  const now = new MediaNow();
  assert.equal(now.at(5000), 0);
  now.told(80, 1000);
  assert.equal(now.at(3000), 82);
  now.stop(3000);
  assert.equal(now.at(9000), 82);
});

test("the strip shows what is in view, in lanes that do not cover one another", () => {
  assert.equal(place(-10), 0);
  assert.equal(place(110), 1);
  const lanes = laid([{ atS: 60 }, { atS: 105 }, { atS: 110 }, { atS: 112 }, { atS: 113 }, { atS: 300 }], 100);
  assert.deepEqual(lanes.map(({ moment, lane }) => [moment.atS, lane]), [[105, 0], [110, 1], [112, 2], [113, 2]]);
});

// What a prompt does to the past ----------------------------------------------------------------------------------------

test("a way with the past is a field of the prompt, and none is asked for what is usual or unknown", () => {
  assert.deepEqual(askedOfPast("usual"), {});
  assert.deepEqual(askedOfPast("keep"), { recache: false });
  assert.deepEqual(askedOfPast("recache"), { recache: true });
  assert.deepEqual(askedOfPast("blend"), { transition_ms: BLEND_MS });
  assert.deepEqual(askedOfPast("cut"), { cut: true });
  assert.deepEqual(askedOfPast("toString"), {});
});

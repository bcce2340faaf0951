import assert from "node:assert/strict";
import { test } from "node:test";

import { labels, words } from "../../../client/streamgen_client/web/journey.js";
import { PromptHistory, refusal } from "../../../client/streamgen_client/web/prompts.js";

const stages = (history) => history.entries.map(({ id, stage }) => `${id}:${stage}`);

function applied(history, id) {
  history.take({ type: "applied", id, chunk: 1, media_time: 0.32, rtp_video: 28_800 }, 0);
}

test("a prompt walks its whole life, forward only", () => {
  const history = new PromptHistory();
  history.entered("a", "a stormy sea", 0);
  for (const type of ["received", "accepted"]) history.take({ type, id: "a" }, 1);
  history.take({ type: "queued", id: "a", eta_ms: 640 }, 2);
  assert.equal(history.find("a").etaMs, 640);
  history.take({ type: "received", id: "a" }, 3); // late
  assert.deepEqual(stages(history), ["a:queued"]);
  applied(history, "a");
  history.shown("a", 812);
  assert.deepEqual(stages(history), ["a:shown"]);
  assert.equal(history.find("a").latencyMs, 812);
});

test("a prompt that an operator has to look at waits, and then goes on", () => {
  const history = new PromptHistory();
  history.entered("a", "a fight in the rain", 0);
  for (const type of ["received", "held"]) history.take({ type, id: "a", message: "This waits." }, 1);
  assert.deepEqual(stages(history), ["a:held"]);
  assert.equal(words(history.find("a")), "An operator looks at it first.");
  history.take({ type: "accepted", id: "a" }, 2);
  assert.deepEqual(stages(history), ["a:accepted"]);
});

test("a latency that is known after the picture was shown is kept", () => {
  const history = new PromptHistory();
  history.entered("a", "rain", 0);
  applied(history, "a");
  history.shown("a", null);
  history.shown("a", 700);
  history.shown("a", null);
  assert.equal(history.find("a").latencyMs, 700);
});

test("the next prompt on the screen makes the one before it past, not the one that follows", () => {
  const history = new PromptHistory();
  for (const id of ["a", "b", "c"]) {
    history.entered(id, id, 0);
    applied(history, id);
  }
  history.shown("a", null);
  assert.deepEqual(stages(history), ["a:shown", "b:applied", "c:applied"]);
  history.shown("b", null);
  assert.deepEqual(stages(history), ["a:past", "b:shown", "c:applied"]);
  history.shown("a", null); // a picture that was already counted
  assert.deepEqual(stages(history), ["a:past", "b:shown", "c:applied"]);
});

test("a page that shows no picture does not claim that a prompt is on its screen", () => {
  const history = new PromptHistory();
  history.entered("a", "a", 0);
  applied(history, "a");
  history.playing("a");
  assert.deepEqual(stages(history), ["a:applied"]);
  history.entered("b", "b", 1);
  applied(history, "b");
  history.playing("b");
  assert.deepEqual(stages(history), ["a:past", "b:applied"]);
});

test("superseded and rejected are final", () => {
  const history = new PromptHistory();
  history.entered("a", "a", 0);
  history.entered("b", "b", 0);
  history.take({ type: "superseded", id: "a", by: "b" }, 1);
  history.take({ type: "rejected", id: "b", reason: "empty", field: "text", message: "text: the text is empty" }, 1);
  for (const id of ["a", "b"]) applied(history, id);
  history.shown("b", 1);
  assert.deepEqual(stages(history), ["a:superseded", "b:rejected"]);
  assert.equal(history.find("b").reason, "The text is empty.");
});

test("other people's prompts arrive with the state and with chunks", () => {
  const history = new PromptHistory();
  history.take({
    type: "state", version: 1, revision: 4, channel: "main", status: "live", prompt: "fire", prompt_id: "x",
    pending: [{ id: "y", text: "snow", stage: "queued", eta_ms: 300 }], config: { guidance: null, seed: null },
    media_time: 1, chunk: 3, viewers: 2, can: ["prompt"],
  }, 0);
  assert.deepEqual(stages(history), ["x:applied", "y:queued"]);
  history.take({ type: "chunk", index: 9, media_time: 3, prompt: "snow", prompt_id: "y", rtp_video: 1 }, 0);
  assert.deepEqual(stages(history), ["x:applied", "y:applied"]);
  assert.ok(history.entries.every(({ mine }) => !mine));
});

test("somebody else's prompt is over when the state does not name it any more", () => {
  const history = new PromptHistory();
  const state = {
    type: "state", version: 1, revision: 1, channel: "main", status: "live", prompt: "", prompt_id: null,
    pending: [{ id: "y", text: "snow", stage: "queued", eta_ms: null }], config: { guidance: null, seed: null },
    media_time: 1, chunk: 3, viewers: 2, can: [],
  };
  history.entered("mine", "fire", 0);
  history.take(state, 0);
  history.take({ ...state, revision: 2, pending: [] }, 0);
  assert.deepEqual(stages(history), ["mine:sending", "y:superseded"]);
});

test("after a lost connection only the newest open prompt is sent again, with its own id", () => {
  const history = new PromptHistory();
  history.entered("a", "a", 0);
  history.entered("b", "b", 10);
  assert.equal(history.resume(1000)?.id, "b");
  assert.deepEqual(stages(history), ["a:superseded", "b:sending"]);
  assert.equal(history.resume(60_000), null); // by then nobody waits for it any more
  assert.deepEqual(stages(history), ["a:superseded", "b:rejected"]);
});

test("the history is bounded, and keeps what is still open", () => {
  const history = new PromptHistory();
  history.entered("open", "open", 0);
  for (let i = 0; i < 200; i += 1) {
    history.entered(String(i), "text", i);
    history.take({ type: "superseded", id: String(i), by: "" }, i);
  }
  assert.equal(history.entries.length, 40);
  assert.equal(history.find("open")?.stage, "sending");
});

test("a refusal is told without the field's name", () => {
  const message = { type: "rejected", id: null, reason: "too_long" };
  assert.equal(refusal({ ...message, field: "text", message: "text: too long; shorten it" }), "Too long; shorten it.");
  assert.equal(refusal({ ...message, field: null, message: "Wait a moment." }), "Wait a moment.");
});

test("the line under the box says where a prompt is", () => {
  const at = (stage, more = {}) => ({ stage, etaMs: null, latencyMs: null, reason: null, ...more });
  assert.deepEqual(labels(at("sending")), ["Sending", "Queued", "In the picture"]);
  assert.equal(words(at("sending")), "Sending");
  assert.equal(words(at("received")), "Sent");
  assert.equal(words(at("queued", { etaMs: 430 })), "Queued, about 0.4 s");
  assert.equal(words(at("applied")), "On its way to the screen");
  assert.equal(words(at("shown", { latencyMs: 812 })), "In the picture after 0.8 s");
  assert.equal(words(at("past")), "In the picture");
  assert.equal(words(at("rejected", { reason: "Shorten it." })), "Shorten it.");
  assert.match(words(at("superseded")), /newer prompt/);
});

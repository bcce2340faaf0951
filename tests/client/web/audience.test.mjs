import assert from "node:assert/strict";
import { test } from "node:test";

import { Credits } from "../../../client/streamgen_client/web/credits.js";
import { Proposals, words } from "../../../client/streamgen_client/web/proposals.js";
import { Vote, countdown, percent, ranked, title } from "../../../client/streamgen_client/web/vote.js";

const option = (id, share, more = {}) => ({ id, text: id, votes: 0, share, names: [], playing: 0, ...more });
const audience = (more = {}) => ({
  type: "audience", revision: 1, mode: "single", phase: "vote", paused: false, round: "4", ballot: "4.prompt", stage: "prompt",
  stages: ["prompt"], options: [option("a", 0.2), option("b", 0.8)], voters: 10, proposals: 0, remaining_s: 30, winners: [],
  decided_by: null, mine: null, queue: [], ...more,
});

test("the time that is left passes between messages, and stands while paused", () => {
  const vote = new Vote();
  assert.equal(vote.remainingS(0), null);
  vote.take(audience(), 1000);
  assert.equal(vote.remainingS(6000), 25);
  assert.equal(vote.remainingShare(16_000), 0.5);
  assert.equal(vote.remainingS(60_000), 0);
  vote.take(audience({ revision: 2, paused: true, remaining_s: 12 }), 20_000);
  assert.equal(vote.remainingS(50_000), 12);
  assert.equal(vote.open, false);
  vote.take(audience({ revision: 3, phase: "idle", remaining_s: null }), 60_000);
  assert.equal(vote.remainingS(60_000), null);
});

test("an older message changes nothing", () => {
  const vote = new Vote();
  assert.ok(vote.take(audience({ revision: 5, phase: "result" }), 0));
  assert.ok(!vote.take(audience({ revision: 4 }), 1));
  assert.equal(vote.now.phase, "result");
  vote.reset(); // another server counts anew
  assert.ok(vote.take(audience({ revision: 1 }), 2));
});

test("a vote counts here at once, and is taken back when the server refuses it", () => {
  const vote = new Vote();
  vote.take(audience({ mine: "a" }), 0);
  vote.cast("v1", "b");
  assert.equal(vote.mine, "b");
  assert.ok(vote.answered("v1", false));
  assert.equal(vote.mine, "a");
  vote.cast("v2", "b");
  assert.ok(vote.answered("v2", true));
  assert.equal(vote.mine, "b");
  assert.ok(!vote.answered("v2", false)); // answered already
  assert.ok(!vote.answered("other", true));
  assert.equal(vote.mine, "b");
});

test("a vote that is refused late does not undo the one that replaced it, nor what another ballot has made of it", () => {
  const vote = new Vote();
  vote.take(audience({ mine: "a" }), 0);
  vote.cast("v1", "b");
  vote.cast("v2", "c");
  assert.ok(vote.answered("v1", false));
  assert.equal(vote.mine, "c");
  vote.cast("v3", "a");
  vote.take(audience({ revision: 2, ballot: "5.prompt", round: "5" }), 1);
  assert.ok(vote.answered("v3", false));
  assert.equal(vote.mine, null);
});

test("on another connection the server says which vote is ours", () => {
  const vote = new Vote();
  vote.take(audience(), 0);
  vote.cast("v", "b");
  vote.reset();
  assert.equal(vote.mine, null);
  vote.take(audience({ mine: "a" }), 1);
  assert.equal(vote.mine, "a");
  assert.ok(!vote.answered("v", false));
});

test("another ballot has no vote of ours, its result still shows which one it was", () => {
  const vote = new Vote();
  vote.take(audience(), 0);
  vote.cast("v", "b");
  vote.take(audience({ revision: 2, phase: "result", ballot: null }), 1);
  assert.equal(vote.mine, "b");
  vote.take(audience({ revision: 3, ballot: "5.prompt", round: "5" }), 2);
  assert.equal(vote.mine, null);
});

test("the vote is told in words", () => {
  assert.equal(title(audience()), "Vote now");
  assert.equal(title(audience({ stages: ["subject", "style"], stage: "style" })), "Vote now: style");
  assert.equal(title(audience({ paused: true })), "Paused");
  assert.equal(title(audience({ phase: "collect" })), "Proposals");
  assert.equal(title(audience({ mode: "continuous" })), "The vote never closes");
  assert.equal(title(audience({ phase: "result", decided_by: "random" })), "Drawn by lot");
  assert.equal(title(audience({ phase: "idle" })), "No vote yet");
  assert.equal(countdown(21.4), "0:22");
  assert.equal(countdown(750), "12:30");
  assert.equal(percent(0.444), "44 %");
  assert.deepEqual(ranked(audience()).map(({ id }) => id), ["b", "a"]);
  assert.deepEqual(ranked(audience({ phase: "collect" })).map(({ id }) => id), ["a", "b"]);
});

test("a proposal says how far it has come, and counts down to where it lands", () => {
  const mine = new Proposals();
  mine.sent("p", "a fox", 0);
  const said = (message, nowMs) => {
    mine.take({ id: "p", ...message }, nowMs);
    return words(mine.find("p"), nowMs);
  };
  assert.equal(words(mine.find("p"), 0), "Sending");
  assert.equal(said({ type: "received" }, 1), "It is being checked");
  assert.equal(said({ type: "held", message: "An operator looks at it." }, 2), "An operator looks at it.");
  assert.equal(said({ type: "accepted" }, 3), "It is in. It plays if it wins the vote");
  assert.equal(said({ type: "queued", eta_ms: 8400 }, 1000), "Yours lands in 9 s");
  assert.equal(words(mine.find("p"), 8500), "Yours lands in 1 s");
  assert.equal(words(mine.find("p"), 9500), "Yours lands any moment");
  assert.equal(said({ type: "applied", chunk: 1, media_time: 1 }, 9600), "Yours is playing");
  assert.equal(said({ type: "rejected", reason: "x", message: "late" }, 9700), "Yours is playing"); // final is final
});

test("what lands next comes first, then what changed last; another page's proposal is known when it is queued", () => {
  const mine = new Proposals();
  assert.equal(mine.foremost, null);
  mine.sent("a", "a", 0);
  mine.sent("b", "b", 1);
  assert.equal(mine.foremost.id, "b");
  mine.take({ type: "queued", id: "elsewhere", eta_ms: 5000 }, 2);
  assert.deepEqual([mine.foremost.id, mine.foremost.text], ["elsewhere", null]);
  mine.take({ type: "queued", id: "a", eta_ms: 1000 }, 3);
  assert.equal(mine.foremost.id, "a");
  mine.take({ type: "accepted", id: "unknown" }, 4);
  assert.equal(mine.find("unknown"), undefined);
});

test("on another connection what was under way is unknown, unless the server names it again", () => {
  const mine = new Proposals();
  for (const id of ["sending", "received", "queued", "named", "held", "accepted", "applied"]) mine.sent(id, id, 0);
  for (const type of ["received", "held", "accepted", "applied"]) mine.take({ type, id: type }, 1);
  for (const id of ["queued", "named"]) mine.take({ type: "queued", id, eta_ms: 60_000 }, 1);
  mine.reconnected(2);
  const stages = () => mine.entries.map(({ stage }) => stage);
  assert.deepEqual(stages(), ["unknown", "unknown", "unknown", "unknown", "held", "accepted", "applied"]);
  assert.match(words(mine.find("queued"), 2), /not known/);
  mine.take({ type: "state", pending: [{ id: "named", text: "named", stage: "queued", eta_ms: 50_000 }, { id: "held", text: "held", stage: "queued" }] }, 3);
  assert.deepEqual(stages(), ["unknown", "unknown", "unknown", "queued", "held", "accepted", "applied"]);
  assert.equal(words(mine.find("named"), 3), "Yours lands in 50 s");
  mine.take({ type: "applied", id: "sending" }, 4); // an answer that comes after all
  assert.equal(mine.find("sending").stage, "applied");
});

test("what should have played long since does not land any moment for ever", () => {
  const mine = new Proposals();
  mine.sent("late", "late", 0);
  mine.take({ type: "queued", id: "late", eta_ms: 1000 }, 0);
  mine.tick(11_000);
  assert.equal(words(mine.find("late"), 11_000), "Yours lands any moment");
  mine.tick(11_001);
  assert.deepEqual([mine.find("late").stage, mine.find("late").changedAtMs], ["unknown", 11_001]);
  mine.take({ type: "state", pending: [{ id: "late", text: "late", stage: "queued", eta_ms: null }] }, 11_500);
  assert.deepEqual([mine.find("late").stage, mine.find("late").changedAtMs], ["unknown", 11_001]); // it does not blink
  mine.sent("next", "next", 12_000);
  assert.equal(mine.foremost.id, "next");
});

test("proposals are bounded, and those under way are kept", () => {
  const mine = new Proposals();
  mine.sent("open", "open", 0);
  for (let i = 0; i < 50; i += 1) {
    mine.sent(String(i), "text", i);
    mine.take({ type: "superseded", id: String(i), by: "x" }, i);
  }
  assert.equal(mine.entries.length, 12);
  assert.equal(mine.find("open").stage, "sending");
});

test("credits go to those whose words were chosen, alone, in a blend and in a template", () => {
  const credits = new Credits();
  credits.take({ options: [option("1", 1, { text: "rain", names: ["Ada"] }), option("2", 0, { text: "snow", names: ["Tom"] })], winners: ["1"] });
  assert.deepEqual(credits.of("rain"), ["Ada"]);
  assert.deepEqual(credits.of("snow"), []); // not chosen
  assert.deepEqual(credits.of("rain on a city"), []); // somebody else's words that only begin alike
  credits.take({ options: [option("2", 0.4, { text: "snow", names: ["Tom"], playing: 0.4 })], winners: [] });
  assert.deepEqual(credits.of("60 % rain + 40 % snow"), ["Ada", "Tom"]);
  assert.deepEqual(credits.of("snow, by the sea, ink drawing"), ["Tom"]);
  for (let i = 0; i < 200; i += 1) credits.take({ options: [option("x", 1, { text: `t${i}`, names: ["N"] })], winners: ["x"] });
  assert.deepEqual(credits.of("rain"), []);
});

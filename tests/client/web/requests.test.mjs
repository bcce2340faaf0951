import assert from "node:assert/strict";
import { test } from "node:test";

import { Requests } from "../../../client/streamgen_client/web/requests.js";

const TRANSPORT = ["play", "pause", "reset"];

test("an answer is awaited until it comes, and for requests of its kind only", () => {
  const requests = new Requests();
  const pause = { type: "pause", id: "a" };
  requests.sent(pause, 1000);
  assert.equal(requests.awaits(TRANSPORT, 1001), true);
  assert.equal(requests.awaits(["audience.control"], 1001), false);
  assert.equal(requests.answered("other"), null);
  assert.deepEqual(requests.answered("a"), { message: pause, atMs: 1000 });
  assert.equal(requests.awaits(TRANSPORT, 1002), false);
  assert.equal(requests.answered("a"), null); // once
});

test("an answer that does not come keeps nobody from asking again for ever", () => {
  const requests = new Requests();
  requests.sent({ type: "pause", id: "a" }, 0);
  assert.equal(requests.awaits(TRANSPORT, 4999), true);
  assert.equal(requests.awaits(TRANSPORT, 5000), false);
  assert.notEqual(requests.answered("a"), null); // late, and still ours
});

test("a lost connection tells what has no answer, and forgets it", () => {
  const requests = new Requests();
  requests.sent({ type: "panic", id: "a", action: "hold" }, 0);
  requests.sent({ type: "panic", id: "b", action: "black" }, 1);
  requests.sent({ type: "play", id: "c" }, 2);
  requests.answered("a");
  assert.deepEqual(requests.lost().map(({ id }) => id), ["b", "c"]);
  assert.deepEqual(requests.lost(), []);
  assert.equal(requests.awaits(TRANSPORT, 3), false);
});

test("requests are bounded, the oldest is forgotten", () => {
  const requests = new Requests();
  for (let i = 0; i < 70; i += 1) requests.sent({ type: "play", id: String(i) }, i);
  assert.equal(requests.answered("5"), null);
  assert.notEqual(requests.answered("6"), null);
  assert.equal(requests.lost().length, 63);
});

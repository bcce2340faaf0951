import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../../client/streamgen_client/web/backoff.js";
import { CHANNEL_LABEL, DataLine, linesOf, offerChannels } from "../../../client/streamgen_client/web/data-line.js";
import { SteeringClient } from "../../../client/streamgen_client/web/steering.js";

/** A data channel whose other end is the test. */
class Channel extends EventTarget {
  readyState = "connecting";
  sent = [];

  send(text) {
    if (this.readyState !== "open") throw new Error("not open");
    this.sent.push(text);
  }

  close() {
    this.readyState = "closing"; // the event comes later, or never
  }

  become(state) {
    this.readyState = state;
    this.dispatchEvent(new Event(state === "open" ? "open" : "close"));
  }

  hear(message) {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }
}

class Peer {
  connectionState = "connected";
  opened = [];

  createDataChannel(label, options) {
    const channel = new Channel();
    this.opened.push({ label, options, channel });
    return channel;
  }
}

function closing(line) {
  const events = [];
  line.addEventListener("close", ({ code, reason }) => events.push({ code, reason }));
  return events;
}

const rejected = (field, reason, id = null) => ({ type: "rejected", id, reason, field, message: "Said by the server" });

test("a line has the states of a WebSocket", () => {
  const channel = new Channel();
  const line = new DataLine(channel);
  assert.equal(line.readyState, 0);
  channel.become("open");
  assert.equal(line.readyState, 1);
  line.send("{}");
  assert.deepEqual(channel.sent, ["{}"]);
  channel.become("closed");
  assert.equal(line.readyState, 3);
});

test("the server's last word becomes the code and the reason", () => {
  for (const [field, reason, code] of [["token", "forbidden", 1008], ["connection", "unavailable", 1013]]) {
    const channel = new Channel();
    const events = closing(new DataLine(channel));
    channel.become("open");
    channel.hear(rejected(field, reason));
    channel.become("closed");
    assert.deepEqual(events, [{ code, reason: "Said by the server" }]);
  }
});

test("an answer to a request is no farewell, and neither is nonsense", () => {
  const channel = new Channel();
  const events = closing(new DataLine(channel));
  channel.become("open");
  channel.hear(rejected("token", "forbidden", "a"));
  channel.hear(rejected("text", "empty"));
  channel.hear(rejected("connection", "too_long"));
  channel.hear(rejected("token", "too_long"));
  channel.dispatchEvent(new MessageEvent("message", { data: '"rejected' }));
  channel.dispatchEvent(new MessageEvent("message", { data: new ArrayBuffer(3) }));
  channel.become("closed");
  assert.deepEqual(events, [{ code: 1006, reason: "" }]);
});

test("closing on this side is told at once and once", () => {
  const channel = new Channel();
  const line = new DataLine(channel);
  const events = closing(line);
  channel.become("open");
  line.close();
  channel.become("closed");
  line.close();
  assert.equal(events.length, 1);
  assert.equal(line.readyState, 3);
});

test("steering waits for a session, opens a line on it, and on the next one after that", () => {
  const player = { session: null };
  const steering = new SteeringClient(linesOf(player));
  const events = [];
  for (const type of ["open", "closed", "message"]) steering.addEventListener(type, () => events.push(type));
  steering.start();
  assert.equal(steering.connected, false);
  assert.equal(steering.send({ type: "ping", id: "a", t: 0 }), false);

  const first = new Peer();
  player.session = { peer: first };
  steering.retryNow();
  steering.retryNow(); // one is on its way
  assert.deepEqual(first.opened.map(({ label }) => label), [CHANNEL_LABEL]);
  first.opened[0].channel.become("open");
  assert.equal(steering.connected, false); // it may yet be told that the server is full
  first.opened[0].channel.hear({ type: "state" });
  assert.equal(steering.connected, true);
  assert.equal(steering.send({ type: "ping", id: "a", t: 0 }), true);
  assert.deepEqual(events, ["open", "message"]);

  const second = new Peer();
  player.session = { peer: second };
  steering.lost();
  steering.retryNow();
  assert.equal(steering.connected, false);
  assert.equal(second.opened.length, 1);
  second.opened[0].channel.become("open");
  assert.deepEqual(events, ["open", "message", "closed"]);
  second.opened[0].channel.hear({ type: "state" });
  assert.deepEqual(events, ["open", "message", "closed", "open", "message"]);
  steering.stop();
  assert.equal(events.length, 5); // no event follows
});

test("waits grow until the server takes part, and a full one is left alone for long", () => {
  const peer = new Peer();
  const steering = new SteeringClient(linesOf({ session: { peer } }), new Backoff(() => 0.5));
  const waits = [];
  let opened = 0;
  steering.addEventListener("open", () => (opened += 1));
  steering.addEventListener("closed", ({ detail }) => waits.push(detail.retryInMs));
  const attempt = (...messages) => {
    steering.retryNow();
    const { channel } = peer.opened.at(-1);
    channel.become("open");
    messages.forEach((message) => channel.hear(message));
    channel.become("closed");
  };
  steering.start();
  attempt();
  attempt();
  attempt(rejected("connection", "unavailable"));
  assert.deepEqual([waits, opened], [[500, 1000, 15_000], 0]);
  attempt({ type: "state" });
  assert.deepEqual([waits.at(-1), opened], [500, 1]);
  steering.stop();
});

test("a refusal ends it for good", () => {
  const peer = new Peer();
  const steering = new SteeringClient(linesOf({ session: { peer } }));
  const closed = [];
  steering.addEventListener("closed", ({ detail }) => closed.push(detail));
  steering.start();
  peer.opened[0].channel.become("open");
  peer.opened[0].channel.hear(rejected("token", "forbidden"));
  peer.opened[0].channel.become("closed");
  steering.retryNow();
  assert.deepEqual(closed, [{ reason: "Said by the server", retryInMs: null }]);
  assert.equal(peer.opened.length, 1);
});

test("no line is opened on a connection that is over", () => {
  const peer = new Peer();
  peer.connectionState = "closed";
  assert.equal(linesOf({ session: { peer } })(), null);
  assert.deepEqual(peer.opened, []);
});

test("an offer asks for channels without opening one", () => {
  const peer = new Peer();
  offerChannels(peer);
  assert.equal(peer.opened[0].options.negotiated, true);
});

import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../../client/streamgen_client/web/backoff.js";
import { parse } from "../../../client/streamgen_client/web/protocol.js";
import { withStereo } from "../../../client/streamgen_client/web/sdp.js";
import { newId, socketUrl } from "../../../client/streamgen_client/web/steering.js";
import { WhepError, retryAfterS } from "../../../client/streamgen_client/web/whep.js";

test("waits double up to a limit and start again after a success", () => {
  const backoff = new Backoff(() => 0.5);
  assert.deepEqual(Array.from({ length: 6 }, () => backoff.next()), [500, 1000, 2000, 4000, 8000, 10_000]);
  backoff.reset();
  assert.equal(backoff.next(), 500);
});

test("waits are spread by a quarter, and never shorter than the server asks", () => {
  assert.equal(new Backoff(() => 0).next(), 375);
  assert.equal(new Backoff(() => 1).next(), 625);
  assert.equal(new Backoff(() => 0).next(7), 7000);
});

test("a server that is full is asked again after ten to twenty seconds", () => {
  assert.equal(new Backoff(() => 0).whenFull(), 10_000);
  assert.equal(new Backoff(() => 0.5).whenFull(), 15_000);
});

const OFFER = [
  "v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111 63", "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc",
  "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "",
].join("\r\n");

test("the offer asks for stereo, once, and nothing else changes", () => {
  const stereo = withStereo(OFFER);
  assert.equal(stereo, OFFER.replace("useinbandfec=1", "useinbandfec=1;stereo=1;sprop-stereo=1"));
  assert.equal(withStereo(stereo), stereo);
});

test("an offer without parameters for Opus gets them; one without Opus stays as it is", () => {
  const bare = OFFER.replace("a=fmtp:111 minptime=10;useinbandfec=1\r\n", "");
  assert.ok(withStereo(bare).includes("a=rtpmap:111 opus/48000/2\r\na=fmtp:111 stereo=1;sprop-stereo=1\r\n"));
  assert.equal(withStereo("v=0\r\n"), "v=0\r\n");
});

test("Retry-After in seconds or as a date", () => {
  assert.equal(retryAfterS("10"), 10);
  assert.equal(retryAfterS(new Date(5000).toUTCString(), 2000), 3);
  assert.equal(retryAfterS(new Date(1000).toUTCString(), 2000), 0);
  for (const header of [null, "", "soon"]) assert.equal(retryAfterS(header), null);
});

test("only what may heal is tried again", () => {
  for (const status of [0, 404, 409, 429, 500, 503]) assert.ok(new WhepError("", { status }).retryable, String(status));
  for (const status of [400, 401, 403, 413, 422]) assert.ok(!new WhepError("", { status }).retryable, String(status));
});

test("the steering address follows the page's scheme and carries the token", () => {
  assert.equal(socketUrl("steer/main", "http://host:8080/?token=x#y", null, null), "ws://host:8080/steer/main");
  assert.equal(socketUrl("steer/main", "https://host/a/", "a&b", "me"), "wss://host/a/steer/main?token=a%26b&client=me");
});

test("ids are unique and short enough for the protocol", () => {
  const ids = new Set(Array.from({ length: 100 }, newId));
  assert.equal(ids.size, 100);
  for (const id of ids) assert.match(id, /^[0-9a-f]{24}$/);
});

test("frames that are no known message are skipped", () => {
  for (const frame of ["", "[]", "null", "{}", '{"type":"news"}', '{"type":', new ArrayBuffer(1)]) assert.equal(parse(frame), null);
  assert.equal(parse('{"type":"received","id":"a"}')?.type, "received");
});

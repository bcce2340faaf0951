import assert from "node:assert/strict";
import { test } from "node:test";

import { trickleFragment } from "../../../client/streamgen_client/web/sdp.js";
import { iceServersIn } from "../../../client/streamgen_client/web/whep.js";

test("STUN and TURN servers are read from a Link header", () => {
  const link =
    '<stun:stun.example.net:3478>; rel="ice-server", ' +
    '<turn:turn.example.net:3478?transport=udp>; rel="ice-server"; username="17:ab,c"; credential="x;y="; ' +
    'credential-type="password"';
  assert.deepEqual(iceServersIn(link), [
    { urls: "stun:stun.example.net:3478" },
    { urls: "turn:turn.example.net:3478?transport=udp", username: "17:ab,c", credential: "x;y=" },
  ]);
});

test("other links, and none, name no server", () => {
  assert.deepEqual(iceServersIn(null), []);
  assert.deepEqual(iceServersIn('<https://example.net/>; rel="next", <stun:s.example.net>; rel="other"'), []);
});

const DESCRIPTION = [
  "v=0", "a=group:BUNDLE 0 1", "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=ice-ufrag:abcd", "a=ice-pwd:secret", "a=mid:0",
  "a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=ice-ufrag:abcd",
  "a=ice-pwd:secret", "a=mid:1", "a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host", "",
].join("\r\n");

test("candidates are told once, in the first section, with what they belong to", () => {
  assert.equal(trickleFragment(DESCRIPTION), [
    "a=ice-ufrag:abcd", "a=ice-pwd:secret", "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:0",
    "a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host", "a=end-of-candidates", "",
  ].join("\r\n"));
});

test("there is nothing to tell where all candidates hide behind names", () => {
  assert.equal(trickleFragment(DESCRIPTION.replaceAll("192.0.2.7", "1f0c.local")), null);
  assert.equal(trickleFragment(""), null);
});

import assert from "node:assert/strict";
import { test } from "node:test";

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

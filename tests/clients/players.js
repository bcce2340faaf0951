// The npm clients as one module for the page of the tests; esbuild follows these lines into node_modules.
export { WebRTCPlayer } from "@eyevinn/webrtc-player";
export { WHEPClient } from "whip-whep/whep.js";

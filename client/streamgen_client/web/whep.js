/**
 * Watching over WHEP (draft-ietf-wish-whep): one POST with an SDP offer opens a session, DELETE ends it.
 *
 * `WhepSession` is one connection. `WhepClient` keeps one alive: it reconnects with back-off until it is stopped.
 */

import { Backoff } from "./backoff.js";
import { offerChannels } from "./data-line.js";
import { trickleFragment, withStereo } from "./sdp.js";

const GATHERING_LIMIT_MS = 4000; // what has been found by then is told; STUN servers may take long, or never answer
const POST_LIMIT_MS = 15_000;
const PATCH_LIMIT_MS = 5000;
const DELETE_LIMIT_MS = 3000;
const OPTIONS_LIMIT_MS = 2000;
const CONNECT_LIMIT_MS = 15_000; // from the answer to a connected transport
const DISCONNECTED_LIMIT_MS = 3000; // "disconnected" may heal by itself; after this long we start anew
const STEADY_MS = 5000; // a session that held this long resets the back-off

/** Why a session could not be opened or has ended, in words for the viewer. */
export class WhepError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, retryAfterS?: number | null}} [detail]
   */
  constructor(message, { status = 0, retryAfterS = null } = {}) {
    super(message);
    this.name = "WhepError";
    this.status = status;
    this.retryAfterS = retryAfterS;
  }

  /** False when trying again cannot help: the request itself is refused. */
  get retryable() {
    return this.status < 400 || this.status >= 500 || [404, 408, 409, 425, 429].includes(this.status);
  }
}

/**
 * `Retry-After` in seconds, from either of its forms, or null.
 *
 * @param {string | null} header
 * @param {number} nowMs
 */
export function retryAfterS(header, nowMs = Date.now()) {
  if (!header) return null;
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - nowMs) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}

/**
 * @param {number} status
 * @param {string} body what the server says about it, if anything
 */
function refusal(status, body) {
  const said = body.trim().slice(0, 200).replace(/\.$/, "");
  switch (status) {
    case 401:
    case 403:
      return "This channel needs a token: open the link that the server printed when it started.";
    case 404:
      return "There is no such channel on this server.";
    case 406:
    case 415:
    case 422:
      return `The server cannot play to this browser${said ? `: ${said}` : "."}`;
    case 409:
      return "The channel is not live yet: the model is loading.";
    case 429:
      return "Too many requests; waiting a moment.";
    case 503:
      return said ? `${said.charAt(0).toUpperCase()}${said.slice(1)}.` : "The channel is full.";
    default:
      return `The server answered ${status}${said ? `: ${said}` : "."}`;
  }
}

/** @param {string | null} header */
function numeric(header) {
  return header !== null && /^\s*\d+(\.\d+)?\s*$/.test(header) ? Number(header) : null;
}

/** The sentence in a JSON problem (RFC 9457), or the text itself. @param {string} body */
function sentence(body) {
  try {
    const document = /** @type {unknown} */ (JSON.parse(body));
    if (typeof document === "object" && document !== null) {
      for (const key of ["detail", "title"]) {
        const value = /** @type {Record<string, unknown>} */ (document)[key];
        if (typeof value === "string") return value;
      }
    }
    return "";
  } catch {
    return body.startsWith("<") ? "" : body;
  }
}

/**
 * Resolves when all candidates of this side are known, or the time for that is over.
 *
 * @param {RTCPeerConnection} peer
 */
function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, GATHERING_LIMIT_MS);
    function done() {
      clearTimeout(timer);
      peer.removeEventListener("icegatheringstatechange", check);
      resolve(undefined);
    }
    function check() {
      if (peer.iceGatheringState === "complete") done();
    }
    peer.addEventListener("icegatheringstatechange", check);
  });
}

/**
 * Keep the jitter buffer as short as the network allows: what is typed should be seen soon. A hint, in whichever of
 * its two names the browser knows.
 *
 * @param {RTCRtpReceiver} receiver
 */
function playAtOnce(receiver) {
  if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0; // ms
  else Object.assign(receiver, { playoutDelayHint: 0 }); // s, before Chromium 124
}

/** @param {string | null} token @returns {Record<string, string>} */
function authorization(token) {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

/**
 * The STUN and TURN servers that a `Link` header names (RFC 9725, section 4.6).
 *
 * @param {string | null} link
 * @returns {RTCIceServer[]}
 */
export function iceServersIn(link) {
  const servers = [];
  for (const [, url, rest] of (link ?? "").matchAll(/<((?:stun|turns?):[^>]+)>((?:\s*;\s*[\w-]+\s*=\s*(?:"[^"]*"|[^",;]+))*)/gi)) {
    /** @type {Record<string, string>} */
    const given = {};
    for (const [, name, quoted, plain] of (rest ?? "").matchAll(/;\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^",;]+))/g)) {
      given[(name ?? "").toLowerCase()] = quoted ?? (plain ?? "").trim();
    }
    if (given["rel"] !== "ice-server" || url === undefined) continue;
    const { username, credential } = given;
    servers.push(username === undefined ? { urls: url } : { urls: url, username, credential: credential ?? "" });
  }
  return servers;
}

/**
 * What the server says of STUN and TURN before an offer is made. A server that does not answer this is asked for a
 * session all the same: most viewers need neither.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 * @param {string | null} token
 */
async function serversOf(url, signal, token) {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(OPTIONS_LIMIT_MS)]);
    const response = await fetch(url, { method: "OPTIONS", headers: authorization(token), signal: limit });
    return response.ok ? iceServersIn(response.headers.get("Link")) : [];
  } catch {
    signal.throwIfAborted();
    return [];
  }
}

/** One WHEP session. Open it with `WhepSession.open`, end it with `close`. */
export class WhepSession {
  #location;
  #token;
  #closed = false;

  /**
   * @param {RTCPeerConnection} peer
   * @param {MediaStream} stream both tracks, lip-synchronised by the browser
   * @param {string} location the session's own URL
   * @param {Headers} headers of the answer
   * @param {string | null} token with which it was opened
   */
  constructor(peer, stream, location, headers, token) {
    this.peer = peer;
    this.stream = stream;
    /** RTP timestamp of the picture whose pts is 0; null when the server does not say. */
    this.rtpOffset = numeric(headers.get("Streamgen-Rtp-Offset"));
    /** Seconds of programme at the answer; null when the server does not say. */
    this.mediaTimeS = numeric(headers.get("Streamgen-Media-Time"));
    this.#location = location;
    this.#token = token;
  }

  /**
   * Offer, post, answer. Resolves when the answer is in place; the transport connects after that.
   *
   * @param {string} url
   * @param {{signal: AbortSignal, token?: string | null, data?: boolean}} options `data`: ask for data channels too
   * @returns {Promise<WhepSession>}
   */
  static async open(url, { signal, token = null, data = false }) {
    const servers = serversOf(url, signal, token);
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    try {
      // One stream for both tracks, even if the answer names two: only then are sound and picture synchronised.
      const stream = new MediaStream();
      peer.addEventListener("track", ({ track, receiver }) => {
        playAtOnce(receiver);
        stream.addTrack(track);
      });
      peer.addTransceiver("video", { direction: "recvonly" });
      peer.addTransceiver("audio", { direction: "recvonly" });
      if (data) offerChannels(peer);
      const [offer, iceServers] = await Promise.all([peer.createOffer(), servers]);
      // Before candidates are gathered, which setLocalDescription begins.
      if (iceServers.length > 0) peer.setConfiguration({ bundlePolicy: "max-bundle", iceServers });
      await peer.setLocalDescription({ type: "offer", sdp: withStereo(offer.sdp ?? "") });
      signal.throwIfAborted();

      // Without waiting for candidates, which takes longer than all the rest: a server that we can reach needs none of
      // ours, because our own checks tell it where we are. Those that it may need follow.
      const response = await post(url, peer.localDescription?.sdp ?? "", signal, token);
      const location = new URL(response.headers.get("Location") ?? "", response.url).href;
      const session = new WhepSession(peer, stream, location, response.headers, token);
      try {
        await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
        signal.throwIfAborted();
      } catch (error) {
        session.close();
        throw error;
      }
      void session.#trickle();
      return session;
    } catch (error) {
      peer.close();
      throw error;
    }
  }

  /** Tell the server of this side's candidates, if it has not been reached without them. */
  async #trickle() {
    await gathered(this.peer);
    const fragment = trickleFragment(this.peer.localDescription?.sdp ?? "");
    if (this.#closed || fragment === null || this.peer.connectionState === "connected") return;
    const headers = { "Content-Type": "application/trickle-ice-sdpfrag", ...authorization(this.#token) };
    const signal = AbortSignal.timeout(PATCH_LIMIT_MS);
    // A server that takes no candidates has said so with its status; the session may come to life all the same.
    await fetch(this.#location, { method: "PATCH", headers, body: fragment, signal }).catch(() => undefined);
  }

  /** End the session on both sides. Safe to call while the page goes away. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    if (saidGoodbye(this.peer)) {
      this.peer.close();
      return;
    }
    // The request first: once the peer is closed the server no longer knows the session. keepalive lets it outlive
    // the page; a server that is gone has nothing left to be told.
    const signal = AbortSignal.timeout(DELETE_LIMIT_MS);
    void fetch(this.#location, { method: "DELETE", keepalive: true, signal, headers: authorization(this.#token) })
      .catch(() => undefined)
      .finally(() => this.peer.close());
  }
}

/**
 * @param {string} url
 * @param {string} sdp
 * @param {AbortSignal} signal
 * @param {string | null} token
 */
async function post(url, sdp, signal, token) {
  /** @type {Record<string, string>} */
  const headers = { "Content-Type": "application/sdp", Accept: "application/sdp", ...authorization(token) };
  let response;
  try {
    response = await fetch(url, {
      method: "POST", headers, body: sdp, signal: AbortSignal.any([signal, AbortSignal.timeout(POST_LIMIT_MS)]),
    });
  } catch {
    signal.throwIfAborted();
    throw new WhepError("The server cannot be reached.");
  }
  if (response.status !== 201) {
    throw new WhepError(refusal(response.status, sentence(await response.text())), {
      status: response.status, retryAfterS: retryAfterS(response.headers.get("Retry-After")),
    });
  }
  if (!response.headers.get("Location")) {
    throw new WhepError("The server's answer names no session (no Location header).", { status: 502 });
  }
  return response;
}

/** Whether the server has ended the transport. @param {RTCPeerConnection} peer */
function saidGoodbye(peer) {
  return peer.getReceivers()[0]?.transport?.state === "closed";
}

/**
 * Resolves with the reason when the transport has ended for good.
 *
 * @param {RTCPeerConnection} peer
 * @param {AbortSignal} signal
 * @returns {Promise<string>}
 */
function ended(peer, signal) {
  return new Promise((resolve) => {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer = setTimeout(() => resolve("No route to the server's media port was found."), CONNECT_LIMIT_MS);
    const check = () => {
      clearTimeout(timer);
      timer = undefined;
      if (peer.connectionState === "failed" || peer.connectionState === "closed") {
        resolve("The connection was lost.");
      } else if (peer.connectionState === "disconnected") {
        timer = setTimeout(() => resolve("The connection was lost."), DISCONNECTED_LIMIT_MS);
      } else if (peer.connectionState !== "connected") {
        timer = setTimeout(() => resolve("No route to the server's media port was found."), CONNECT_LIMIT_MS);
      }
    };
    peer.addEventListener("connectionstatechange", check);
    // A server that says goodbye (DTLS close_notify) need not be waited for.
    peer.getReceivers()[0]?.transport?.addEventListener("statechange", () => {
      if (saidGoodbye(peer)) resolve("The server ended the session.");
    });
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve("stopped");
    }, { once: true });
  });
}

/**
 * @typedef {{session: WhepSession}} SessionDetail
 * @typedef {{reason: string, retryInMs: number | null}} OfflineDetail `retryInMs` null: no further attempt
 */

/**
 * Keeps one session alive until `stop`.
 *
 * Events: `connecting`; `session` (`SessionDetail`) when the answer is in place; `offline` (`OfflineDetail`) while
 * it waits for the next attempt.
 */
export class WhepClient extends EventTarget {
  #url;
  #token;
  #data;
  #backoff = new Backoff();
  /** @type {AbortController | null} */
  #run = null;
  /** @type {WhepSession | null} */
  #session = null;
  /** Cuts the wait before the next attempt. @type {AbortController | null} */
  #wait = null;

  /**
   * @param {string} url
   * @param {{token?: string | null, data?: boolean}} [options] as of `WhepSession.open`
   */
  constructor(url, { token = null, data = false } = {}) {
    super();
    this.#url = url;
    this.#token = token;
    this.#data = data;
  }

  get running() {
    return this.#run !== null;
  }

  start() {
    if (this.#run !== null) return;
    this.#run = new AbortController();
    this.#backoff.reset();
    void this.#keepAlive(this.#run);
  }

  /** End the session; no event follows. */
  stop() {
    this.#run?.abort();
    this.#run = null;
    this.#session?.close();
    this.#session = null;
  }

  /** Do not wait any longer for the next attempt. A session that is up, or an attempt under way, is left alone. */
  retryNow() {
    this.#wait?.abort();
    this.start();
  }

  /** @param {AbortController} run */
  async #keepAlive(run) {
    while (!run.signal.aborted) {
      const failure = await this.#once(run.signal);
      if (run.signal.aborted) return;
      if (!failure.retryable) {
        this.#run = null;
        this.#emit("offline", { reason: failure.message, retryInMs: null });
        return;
      }
      const retryInMs = this.#backoff.next(failure.retryAfterS);
      this.#wait = new AbortController();
      this.#emit("offline", { reason: failure.message, retryInMs });
      await pause(retryInMs, AbortSignal.any([run.signal, this.#wait.signal]));
    }
  }

  /**
   * One session from beginning to end.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<WhepError>} why it is over
   */
  async #once(signal) {
    this.#emit("connecting", {});
    try {
      const session = await WhepSession.open(this.#url, { signal, token: this.#token, data: this.#data });
      this.#session = session;
      const steady = setTimeout(() => this.#backoff.reset(), STEADY_MS);
      this.#emit("session", { session });
      const reason = await ended(session.peer, signal);
      clearTimeout(steady);
      return new WhepError(reason);
    } catch (error) {
      if (error instanceof WhepError) return error;
      // A DOMException of the browser's own WebRTC stack: an answer it does not accept, or our own abort.
      return new WhepError(`The browser could not start the stream: ${String(error)}`);
    } finally {
      if (!signal.aborted) {
        this.#session?.close();
        this.#session = null;
      }
    }
  }

  /**
   * @param {string} type
   * @param {object} detail
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal ends the wait early
 */
function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(undefined);
    }, { once: true });
  });
}

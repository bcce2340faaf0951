/**
 * `<streamgen-player src="whep/main">`: plays a WHEP stream. Works on any page, on its own:
 *
 *     <script type="module" src="https://server/player.js"></script>
 *     <streamgen-player src="https://server/whep/main"></streamgen-player>
 *
 * Attributes: `src`; `token` (sent as a bearer token); `autoplay` (start at once; muted if the browser insists);
 * `data` (sessions can carry data channels, see `data-line.js`).
 * Events: `statechange`; `session` (a WHEP session is up); `picture` (`PictureDetail`) for each picture presented.
 */

import { Glow } from "./glow.js";
import { PLAYER_MARKUP, PLAYER_STYLE } from "./player-view.js";
import { WhepClient } from "./whep.js";

/** @typedef {import("./whep.js").WhepSession} WhepSession */
/** @typedef {"idle" | "connecting" | "live" | "buffering" | "slate" | "offline"} PlayerState */
/** @typedef {"live" | "buffering" | "slate"} Programme what the server says about its own stream */
/**
 * @typedef {object} PictureDetail
 * @property {number | undefined} rtpTimestamp of the picture, as received
 * @property {number} atMs when it is on the screen, on the clock of `performance.now()`
 * @property {[number, number, number] | null} colour mean colour, every now and then
 */

const STALLED_MS = 800; // ten picture times without a picture: the stream stands still
const CHECK_EVERY_MS = 200;
const CONTROLS_FOR_MS = 2500;

const STATE_WORDS = {
  idle: "", connecting: "Connecting", live: "Live", buffering: "Buffering", slate: "Back in a moment", offline: "Offline",
};

export class StreamgenPlayer extends HTMLElement {
  /** @type {WhepClient | null} */
  #client = null;
  /** @type {WhepSession | null} */
  #session = null;
  /** @type {PlayerState} */
  #state = "idle";
  #view;
  #glow;
  /** Ends everything that runs outside the element's own tree. @type {AbortController | null} */
  #connected = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #controlsTimer;
  #pictureAtMs = 0;
  #retryAtMs = 0;
  #pressedAtMs = 0;
  /** @type {Programme} */
  #programme = "live";
  #programmeReason = "";
  #programmeSinceMs = 0;
  /** The browser allowed no sound; the first click or key press turns it on. */
  #silenced = false;

  /** Pictures presented since the element exists. */
  pictures = 0;
  /** From pressing play to the first picture on the screen; null before. @type {number | null} */
  firstPictureMs = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(PLAYER_STYLE);
    root.adoptedStyleSheets = [sheet];
    root.innerHTML = PLAYER_MARKUP;
    /** @template {HTMLElement} T @param {string} id @param {new () => T} type @returns {T} */
    const part = (id, type) => {
      const element = root.getElementById(id);
      if (!(element instanceof type)) throw new TypeError(`the player's markup lacks #${id}`);
      return element;
    };
    this.#view = {
      frame: part("frame", HTMLDivElement),
      video: part("video", HTMLVideoElement),
      glow: part("glow", HTMLCanvasElement),
      play: part("play", HTMLButtonElement),
      notice: part("notice", HTMLParagraphElement),
      badge: part("badge", HTMLSpanElement),
      stop: part("stop", HTMLButtonElement),
      mute: part("mute", HTMLButtonElement),
      full: part("full", HTMLButtonElement),
      sound: part("sound", HTMLButtonElement),
      status: part("status", HTMLParagraphElement),
    };
    this.#glow = new Glow(this.#view.glow);
    this.#listen();
    this.#enter("idle");
  }

  connectedCallback() {
    const { signal } = (this.#connected = new AbortController());
    const checks = setInterval(() => this.#check(), CHECK_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(checks));
    document.addEventListener("visibilitychange", () => {
      if (this.#pictureAtMs > 0) this.#pictureAtMs = performance.now();
    }, { signal });
    let playing = false;
    addEventListener("pagehide", () => {
      playing = this.#client !== null;
      this.stop();
    }, { signal });
    addEventListener("pageshow", ({ persisted }) => {
      if (persisted && playing) this.play(); // back from the browser's page cache
    }, { signal });
    if (this.hasAttribute("autoplay")) this.play();
  }

  disconnectedCallback() {
    this.#connected?.abort();
    this.stop();
  }

  /** @returns {PlayerState} */
  get state() {
    return this.#state;
  }

  /** Whether pictures of a session are on the screen, however old the last one is. */
  get showing() {
    return this.#state === "live" || this.#state === "buffering" || this.#state === "slate";
  }

  /** The element that shows the picture. */
  get video() {
    return this.#view.video;
  }

  /** The session that is playing, if any. */
  get session() {
    return this.#session;
  }

  /**
   * What the server says about its own stream, which may stand still or show a slate although pictures arrive.
   *
   * @param {Programme} programme
   * @param {string} [reason] in words, for the viewer
   */
  setProgramme(programme, reason = "") {
    if (programme !== this.#programme) this.#programmeSinceMs = performance.now();
    this.#programme = programme;
    this.#programmeReason = reason;
    this.#check();
  }

  /** Start to watch, with sound. Call it from a click or key press, or the browser may insist on silence. */
  play() {
    if (this.#client !== null) {
      this.#client.retryNow();
      return;
    }
    this.#pressedAtMs = performance.now();
    this.firstPictureMs = null;
    const client = new WhepClient(new URL(this.getAttribute("src") ?? "", document.baseURI).href, {
      token: this.getAttribute("token"), data: this.hasAttribute("data"),
    });
    client.addEventListener("connecting", () => this.#enter("connecting"));
    client.addEventListener("session", (event) => {
      const { session } = /** @type {CustomEvent<import("./whep.js").SessionDetail>} */ (event).detail;
      this.#begin(session);
    });
    client.addEventListener("offline", (event) => {
      const detail = /** @type {CustomEvent<import("./whep.js").OfflineDetail>} */ (event).detail;
      this.#session = null;
      this.#retryAtMs = detail.retryInMs === null ? Infinity : performance.now() + detail.retryInMs;
      this.#enter("offline", detail.reason);
    });
    this.#client = client;
    client.start();
  }

  /** Leave the stream. */
  stop() {
    this.#client?.stop();
    this.#client = null;
    this.#session = null;
    this.#view.video.srcObject = null;
    this.#glow.clear();
    this.#enter("idle");
  }

  /** The server is known to be there again: do not wait for the next attempt. */
  retryNow() {
    if (this.#state === "offline") this.#client?.retryNow();
  }

  /** @param {WhepSession} session */
  #begin(session) {
    this.#session = session;
    this.#pictureAtMs = 0;
    const { video } = this.#view;
    video.srcObject = session.stream;
    this.#start(video);
    this.dispatchEvent(new CustomEvent("session", { detail: { session } }));
  }

  /** @param {HTMLVideoElement} video */
  #start(video) {
    video.play().catch((/** @type {unknown} */ error) => {
      // NotAllowedError: sound needs a gesture. AbortError: the stream was replaced meanwhile, and plays already.
      if (error instanceof DOMException && error.name === "NotAllowedError" && !video.muted) {
        video.muted = this.#silenced = true;
        this.#start(video);
      }
    });
  }

  #awaitPicture() {
    const video = /** @type {HTMLVideoElement & {requestVideoFrameCallback?: unknown}} */ (this.#view.video);
    if (typeof video.requestVideoFrameCallback === "function") {
      this.#view.video.requestVideoFrameCallback(this.#picture);
      return;
    }
    // An old browser tells neither which picture is shown nor exactly when: it plays, but nothing can be measured.
    video.addEventListener("timeupdate", () => {
      const nowMs = performance.now();
      this.#picture(nowMs, { presentationTime: nowMs, expectedDisplayTime: nowMs });
    }, { once: true });
  }

  /**
   * @param {DOMHighResTimeStamp} _now
   * @param {Pick<VideoFrameCallbackMetadata, "presentationTime" | "expectedDisplayTime" | "rtpTimestamp">} metadata
   */
  #picture = (_now, metadata) => {
    const { video } = this.#view;
    this.#awaitPicture();
    if (this.#session === null) return;
    const atMs = Math.max(metadata.expectedDisplayTime, metadata.presentationTime);
    this.pictures += 1;
    this.#pictureAtMs = performance.now();
    this.firstPictureMs ??= atMs - this.#pressedAtMs;
    this.#check();
    const colour = this.#glow.picture(video, atMs);
    this.dispatchEvent(
      new CustomEvent("picture", { detail: { rtpTimestamp: metadata.rtpTimestamp, atMs, colour } }),
    );
  };

  /** Live or buffering, by what arrives; and the seconds until the next attempt. */
  #check() {
    const nowMs = performance.now();
    if (this.#state === "offline" && Number.isFinite(this.#retryAtMs)) {
      const seconds = Math.max(0, Math.ceil((this.#retryAtMs - nowMs) / 1000));
      this.#view.badge.textContent = `Trying again${seconds > 0 ? ` in ${seconds} s` : ""}`;
    }
    // A hidden page is shown no pictures; that says nothing about the stream.
    if (this.#session === null || this.#pictureAtMs === 0 || document.hidden) return;
    // A gap that is over before anybody notices is not worth a word.
    const standstill = this.#programme === "buffering" && nowMs - this.#programmeSinceMs > STALLED_MS;
    if (this.#programme === "slate" || standstill) this.#enter(this.#programme, this.#programmeReason);
    else this.#enter(nowMs - this.#pictureAtMs > STALLED_MS ? "buffering" : "live");
  }

  /** @param {PlayerState} state @param {string} [reason] */
  #enter(state, reason = "") {
    const { frame, badge, glow, notice, play, status } = this.#view;
    const changed = state !== this.#state || frame.dataset["state"] === undefined || notice.textContent !== reason;
    if (!changed && state !== "offline") return;
    this.#state = state;
    frame.dataset["state"] = state;
    glow.classList.toggle("on", this.showing);
    badge.textContent = STATE_WORDS[state];
    notice.textContent = reason;
    play.ariaLabel = state === "offline" ? "Try now" : "Play, with sound";
    play.tabIndex = state === "idle" || state === "offline" ? 0 : -1;
    status.textContent = reason || STATE_WORDS[state];
    this.dispatchEvent(new CustomEvent("statechange", { detail: { state, reason } }));
  }

  #listen() {
    const { frame, video, play, stop, mute, full, sound } = this.#view;
    play.addEventListener("click", () => this.play());
    stop.addEventListener("click", () => this.stop());
    mute.addEventListener("click", () => this.#toggleMute());
    sound.addEventListener("click", () => this.#toggleMute());
    full.addEventListener("click", () => void this.#toggleFullscreen());
    video.addEventListener("volumechange", () => this.#showMute());
    video.addEventListener("dblclick", () => void this.#toggleFullscreen());
    video.addEventListener("click", () => {
      // The first touch on a stream that had to start silent is the gesture that it was waiting for.
      if (video.muted) this.#toggleMute();
    });
    frame.addEventListener("pointermove", () => this.#showControls());
    frame.addEventListener("focusin", () => this.#showControls());
    frame.addEventListener("keydown", (event) => this.#key(event));
    this.#awaitPicture();
    this.#showMute();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "m") this.#toggleMute();
    else if (event.key === "f") void this.#toggleFullscreen();
    else return;
    event.preventDefault();
  }

  #toggleMute() {
    this.#view.video.muted = !this.#view.video.muted;
  }

  #showMute() {
    const { mute, sound, video } = this.#view;
    if (!video.muted) this.#silenced = false;
    sound.hidden = !this.#silenced;
    mute.ariaPressed = String(video.muted);
    mute.ariaLabel = video.muted ? "Sound on" : "Sound off";
    mute.title = `${mute.ariaLabel} (m)`;
  }

  async #toggleFullscreen() {
    try {
      if (document.fullscreenElement !== null) await document.exitFullscreen();
      else await this.#view.frame.requestFullscreen();
    } catch {
      // Refused by the browser or the embedding page (no allow="fullscreen"): the picture stays where it is.
    }
  }

  #showControls() {
    const { frame } = this.#view;
    frame.dataset["controls"] = "shown";
    clearTimeout(this.#controlsTimer);
    this.#controlsTimer = setTimeout(() => {
      delete frame.dataset["controls"];
    }, CONTROLS_FOR_MS);
  }
}

customElements.define("streamgen-player", StreamgenPlayer);

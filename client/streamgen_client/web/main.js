/** The page: joins the player, the steering connection and the measurements, and shows what they say. */

import { linesOf } from "./data-line.js";
import { Journey } from "./journey.js";
import { Knobs } from "./knobs.js";
import { Levels } from "./levels.js";
import { Measurements } from "./measurements.js";
import { Meter } from "./meter.js";
import { part, tokenFromLink } from "./page.js";
import { StreamgenPlayer } from "./player.js";
import { PromptList } from "./prompt-list.js";
import { PromptHistory, refusal } from "./prompts.js";
import { MAX_TEXT_CHARS } from "./protocol.js";
import { SteeringClient, newId, socketUrl } from "./steering.js";
import { Suggestions } from "./suggestions.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./protocol.js").Buffering} Buffering */
/** @typedef {import("./protocol.js").Chunk} Chunk */

const UPCOMING_KEPT = 32; // changes of the programme on their way to the screen; the oldest is dropped
const TINT_EVERY_MS = 2000;
const HINT = matchMedia("(hover: hover)").matches
  ? "Press / to write, Enter to send. Any words will do."
  : "Describe what should be seen and heard. Any words will do.";

/** @type {Record<"underrun" | "starting" | "restarting", string>} */
const PROGRAMME_WORDS = {
  underrun: "The generator fell behind; it goes on in a moment.",
  starting: "The model is loading; the stream starts by itself.",
  restarting: "The generator is starting again; the stream goes on by itself.",
};

const view = {
  player: part("player", StreamgenPlayer),
  now: part("now", HTMLElement),
  levels: part("levels", HTMLElement),
  form: part("form", HTMLFormElement),
  prompt: part("prompt", HTMLInputElement),
  cut: part("cut", HTMLInputElement),
  send: part("send", HTMLButtonElement),
  viewers: part("viewers", HTMLElement),
  connection: part("connection", HTMLElement),
};

const token = tokenFromLink();
const steerPath = document.querySelector("[data-steer]")?.getAttribute("data-steer") ?? "steer/main";
const client = newId();
/** `?steer=data`: over the connection that plays, for networks that let no WebSocket through. */
const overData = new URLSearchParams(location.search).get("steer") === "data";
const steering = new SteeringClient(
  overData ? linesOf(view.player) : socketUrl(steerPath, document.baseURI, token, client),
);
const history = new PromptHistory();
const levels = new Levels(Array.from(view.levels.querySelectorAll("i")));
const measurements = new Measurements(view.player, () => levels.rms);
const suggestions = new Suggestions(part("chips", HTMLUListElement), submit);
const knobs = new Knobs(part("knobs", HTMLElement), () => submit(view.prompt.value.trim() || newest));
const journey = new Journey(
  part("journey", HTMLElement), part("journey-text", HTMLElement), part("journey-steps", HTMLElement),
  part("journey-words", HTMLElement),
);
const list = new PromptList(part("prompts", HTMLOListElement), part("no-prompts", HTMLElement), (text) => {
  view.prompt.value = text;
  view.prompt.focus();
});
const meter = new Meter({
  last: part("last", HTMLElement), lastWords: part("last-words", HTMLElement), p50: part("p50", HTMLElement),
  p95: part("p95", HTMLElement), first: part("first", HTMLElement), skew: part("skew", HTMLElement),
  clock: part("clock", HTMLElement), spark: part("spark", SVGElement),
});
Object.assign(window, { streamgen: measurements.metrics });

/** The highest revision of the state that was shown. */
let revision = -1;
/** What plays next on this screen, oldest first. @type {{pts: number, id: string | null, text: string}[]} */
let upcoming = [];
/** What plays, or is about to: what a knob is turned for when nothing else is written. */
let newest = "";
/** The prompt that played when the state last came, to see when somebody else has turned the knobs. @type {string | null | undefined} */
let playedId;
/** The newest prompt of this page, which the line under the box follows. @type {string | null} */
let followed = null;

// Sending --------------------------------------------------------------------------------------------------------

/** @param {string} text */
function submit(text) {
  const trimmed = text.trim();
  const length = Array.from(trimmed).length; // characters as the server counts them, not UTF-16 units
  if (length === 0) {
    journey.say("Write what should be seen and heard, then press Enter.");
    view.prompt.focus();
    return;
  }
  if (length > MAX_TEXT_CHARS) {
    journey.say(`That is ${length} characters long, at most ${MAX_TEXT_CHARS} are allowed; shorten it.`);
    view.prompt.focus();
    return;
  }
  const atMs = performance.now();
  const entry = history.entered(newId(), trimmed, atMs, view.cut.checked, knobs.chosen);
  measurements.entered(entry.id, atMs);
  followed = entry.id;
  transmit(entry);
  view.prompt.value = "";
  view.cut.checked = false;
  show();
  if (!steering.connected) journey.say("There is no connection; this is sent as soon as the server is back.");
}

/** @param {import("./prompts.js").Entry} entry */
function transmit({ id, text, cut, knobs: turned }) {
  const asked = Object.keys(turned).length > 0 ? { knobs: turned } : {};
  steering.send({ type: "prompt.set", id, text, ...(cut ? { cut } : {}), ...asked });
}

/** Everything that tells of prompts. */
function show() {
  list.show(history.entries);
  const entry = followed === null ? undefined : history.find(followed);
  if (entry !== undefined && (steering.connected || entry.stage !== "sending")) journey.show(entry);
}

// What the server says -------------------------------------------------------------------------------------------

/** @param {ServerMessage} message */
function take(message) {
  if (message.type === "pong") return;
  history.take(message, performance.now());
  switch (message.type) {
    case "state":
      takeState(message);
      break;
    case "chunk":
      takeChunk(message);
      break;
    case "applied":
      measurements.applied(message);
      break;
    case "superseded":
      measurements.forget(message.id);
      break;
    case "rejected":
      takeRejected(message);
      break;
    case "buffering":
      takeBuffering(message);
      break;
    default:
      break;
  }
  show();
}

/** @param {State} state */
function takeState(state) {
  if (state.revision < revision) return;
  revision = state.revision;
  newest = state.pending.findLast(({ stage }) => stage === "accepted" || stage === "queued")?.text ?? state.prompt;
  knobs.offer(state.choices ?? {});
  if (state.prompt_id !== playedId && history.find(state.prompt_id ?? "")?.mine !== true) knobs.show(state.knobs ?? {});
  playedId = state.prompt_id;
  if (state.status === "live") view.player.setProgramme("live");
  else if (state.status === "buffering") view.player.setProgramme("buffering", PROGRAMME_WORDS.underrun);
  else view.player.setProgramme("slate", PROGRAMME_WORDS[state.status === "starting" ? "starting" : "restarting"]);
  if (!view.player.showing || view.now.textContent?.trim() === "") {
    upcoming = [];
    showNow(state.prompt_id, state.prompt);
  }
  view.viewers.hidden = false;
  view.viewers.textContent = state.viewers === 1 ? "1 viewer" : `${state.viewers} viewers`;
  allow(state.can.includes("prompt"));
}

/** @param {boolean} steer whether this page may send prompts */
function allow(steer) {
  for (const control of [view.prompt, view.cut, view.send, suggestions, knobs]) control.disabled = !steer;
  view.form.classList.toggle("closed", !steer);
  view.prompt.placeholder = steer ? "Say what happens next…" : "You are watching";
  if (followed === null) {
    journey.say(steer ? HINT : "To steer, open the operator's link that the server printed when it started.", "hint");
  }
}

/** @param {Chunk} chunk */
function takeChunk(chunk) {
  measurements.chunk(chunk);
  const last = upcoming.at(-1);
  if (last?.id !== chunk.prompt_id || last.text !== chunk.prompt) {
    upcoming.push({ pts: chunk.rtp_video, id: chunk.prompt_id, text: chunk.prompt });
    if (upcoming.length > UPCOMING_KEPT) upcoming.shift();
  }
  if (!view.player.showing) showUpcoming(Infinity);
}

/** @param {import("./protocol.js").Rejected} message */
function takeRejected(message) {
  const entry = message.id === null ? undefined : history.find(message.id);
  if (entry === undefined) {
    journey.say(refusal(message));
    return;
  }
  measurements.forget(entry.id);
  if (entry.id === followed && view.prompt.value === "") view.prompt.value = entry.text; // to be mended
}

/** @param {Buffering} message */
function takeBuffering({ active, reason }) {
  if (!active) view.player.setProgramme("live");
  else if (reason === "underrun" || reason === null) view.player.setProgramme("buffering", PROGRAMME_WORDS.underrun);
  else view.player.setProgramme("slate", PROGRAMME_WORDS[reason]);
}

/** Pictures up to `pts` are on the screen: say so. @param {number} pts */
function showUpcoming(pts) {
  while (upcoming[0] !== undefined && upcoming[0].pts <= pts) {
    const { id, text } = upcoming[0];
    upcoming.shift();
    showNow(id, text);
  }
}

/** @param {string | null} id @param {string} text */
function showNow(id, text) {
  const words = text || "\u00a0";
  if (view.now.textContent !== words) {
    view.now.textContent = words;
    if ("mediaSession" in navigator) {
      navigator.mediaSession.metadata = new MediaMetadata({ title: text || "Live", artist: "streamgen" });
    }
  }
  if (id === null) return;
  if (view.player.showing) history.shown(id, null);
  else history.playing(id);
}

steering.addEventListener("message", (event) => {
  take(/** @type {CustomEvent<import("./steering.js").MessageDetail>} */ (event).detail.message);
});
steering.addEventListener("open", () => {
  revision = -1; // it may be another server by now
  showConnection("open", "Connected");
  const again = history.resume(performance.now());
  if (again !== null) transmit(again);
  show();
  view.player.retryNow();
});
steering.addEventListener("closed", (event) => {
  const { reason, retryInMs } = /** @type {CustomEvent<import("./steering.js").ClosedDetail>} */ (event).detail;
  view.viewers.hidden = true;
  view.player.setProgramme("live"); // nobody says otherwise any more; the player sees for itself whether it stalls
  if (retryInMs === null) {
    showConnection("refused", "Not allowed");
    allow(false);
    journey.say(`${reason}.`);
  } else {
    showConnection("lost", overData && view.player.state === "idle" ? "Not playing" : "Reconnecting");
  }
});

/** @param {string} state @param {string} words */
function showConnection(state, words) {
  if (view.connection.dataset["state"] === state) return;
  view.connection.dataset["state"] = state;
  view.connection.textContent = words;
}

// What is measured here ------------------------------------------------------------------------------------------

measurements.addEventListener("picture", (event) => {
  const { pts } = /** @type {CustomEvent<{pts: number | null}>} */ (event).detail;
  const { firstPictureMs, lastMediaTime } = measurements.metrics;
  meter.first(firstPictureMs);
  meter.onAir(lastMediaTime);
  showUpcoming(pts ?? Infinity); // a server that names no offset does not say which picture is which
});
measurements.addEventListener("photon", (event) => {
  const { id, latencyMs } = /** @type {CustomEvent<{id: string, latencyMs: number | null}>} */ (event).detail;
  history.shown(id, latencyMs);
  if (latencyMs !== null) meter.prompts(measurements.metrics.promptToPhotonMs);
  show();
});
measurements.addEventListener("skew", () => meter.skew(measurements.metrics.avSkewMs));

// The rest of the page -------------------------------------------------------------------------------------------

let tintedAtMs = -Infinity;

view.player.addEventListener("session", (event) => {
  const { session } = /** @type {CustomEvent<import("./whep.js").SessionDetail>} */ (event).detail;
  if (session.stream.getAudioTracks().length > 0) levels.watch(session.stream);
  if (overData) {
    steering.lost(); // what it had was of the session before
    steering.retryNow();
  }
});
view.player.addEventListener("statechange", () => {
  const { state } = view.player;
  view.levels.dataset["state"] = state;
  if (state === "idle" || state === "offline") levels.stop();
  if (overData && view.player.session === null) steering.lost();
});
view.player.addEventListener("picture", (event) => {
  const { atMs, colour } = /** @type {CustomEvent<import("./player.js").PictureDetail>} */ (event).detail;
  if (colour === null || atMs - tintedAtMs < TINT_EVERY_MS) return;
  tintedAtMs = atMs;
  tint(colour);
});
for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, () => levels.wake());

/** The page takes on the light of the picture: its mean colour, kept bright enough to be seen. @param {[number, number, number]} mean */
function tint([red, green, blue]) {
  const most = Math.max(red, green, blue, 1);
  const lift = (/** @type {number} */ value) => Math.round(96 + 159 * (value / most));
  document.documentElement.style.setProperty("--tint", `rgb(${lift(red)} ${lift(green)} ${lift(blue)})`);
}

view.form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit(view.prompt.value);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || document.activeElement === view.prompt) return;
  event.preventDefault();
  view.prompt.focus();
});

if (token !== null) view.player.setAttribute("token", token);
if (overData) {
  view.player.toggleAttribute("data", true);
  view.player.setAttribute("src", `${view.player.getAttribute("src") ?? ""}?client=${client}`);
}
if (new URLSearchParams(location.search).has("autoplay")) view.player.play(); // for a screen that nobody touches
journey.say(HINT, "hint");
list.show(history.entries);
steering.start();

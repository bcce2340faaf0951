/** The operator's console: joins the picture, the steering connection and the panels. */

import { HealthPanel } from "./health-panel.js";
import { commandOf, takesText } from "./keys.js";
import { Measurements } from "./measurements.js";
import { clock } from "./meter.js";
import { made, part, rows, tokenFromLink, write } from "./page.js";
import { Past } from "./past.js";
import { StreamgenPlayer } from "./player.js";
import { percentile } from "./latency.js";
import { MediaNow, coming } from "./programme.js";
import { refusal } from "./prompts.js";
import { Requests } from "./requests.js";
import { Review } from "./review.js";
import { SteeringClient, newId, socketUrl } from "./steering.js";
import { Strip } from "./strip.js";
import { VoteBars } from "./vote-bars.js";
import { Vote, countdown, title } from "./vote.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").State} State */
/** @typedef {import("./protocol.js").Timeline} Timeline */
/** @typedef {import("./protocol.js").Permission} Permission */
/** @typedef {import("./protocol.js").PanicAction} PanicAction */
/** @typedef {import("./protocol.js").ClientMessage} ClientMessage */

const EVERY_MS = 250; // clocks, countdowns and the strip
const EXTEND_S = 30;
const LANDS_KEPT = 64; // the oldest is forgotten
const SKEW_SAMPLES = 5;
const AIR_WORDS = { starting: "Starting", live: "On air", buffering: "Stands still", slate: "Generator restarts" };
/** @type {Record<string, string>} */
const COVER_WORDS = { hold: "Picture held", slate: "Slate shown", black: "Black shown" };

const view = {
  player: part("player", StreamgenPlayer),
  channel: part("channel", HTMLElement), air: part("air", HTMLElement), clock: part("clock", HTMLElement),
  viewers: part("viewers", HTMLElement), viewersWord: part("viewers-word", HTMLElement), said: part("said", HTMLElement),
  connection: part("connection", HTMLElement), now: part("now", HTMLElement), next: part("next", HTMLElement),
  ask: part("ask", HTMLFormElement), prompt: part("prompt", HTMLInputElement),
  send: part("send", HTMLButtonElement), review: part("review", HTMLUListElement), pile: part("review-count", HTMLElement),
  reviewEmpty: part("review-empty", HTMLElement), explain: part("explain", HTMLFormElement),
  explainWords: part("explain-words", HTMLElement), explainText: part("explain-text", HTMLInputElement),
  approve: part("approve", HTMLButtonElement),
  reject: part("reject", HTMLButtonElement), rejectWhy: part("reject-why", HTMLButtonElement),
  voteTitle: part("vote-title", HTMLElement), countdown: part("countdown", HTMLElement), phaseBar: part("phase-bar", HTMLElement),
  voteEmpty: part("vote-empty", HTMLElement), voteSum: part("vote-sum", HTMLElement), lead: part("lead", HTMLElement),
  transport: part("transport", HTMLElement), panic: part("panic", HTMLElement), coverWords: part("cover-words", HTMLElement),
  help: part("help", HTMLDialogElement), helpOpen: part("help-open", HTMLButtonElement),
};
const stage = /** @type {HTMLElement} */ (view.player.parentElement);
const controls = /** @type {NodeListOf<HTMLButtonElement>} */ (view.lead.querySelectorAll("[data-control]"));
const transports = /** @type {NodeListOf<HTMLButtonElement>} */ (view.transport.querySelectorAll("[data-transport]"));
const panics = /** @type {NodeListOf<HTMLButtonElement>} */ (view.panic.querySelectorAll("[data-panic]"));

const token = tokenFromLink();
const steering = new SteeringClient(socketUrl(view.ask.dataset["steer"] ?? "steer/main", document.baseURI, token, newId()));
const measurements = new Measurements(view.player, () => []);
const review = new Review();
const past = new Past(part("cut", HTMLInputElement), part("past", HTMLSelectElement));
const vote = new Vote();
const options = new VoteBars(part("options", HTMLUListElement), null);
const health = new HealthPanel(part("health", HTMLElement));
const strip = new Strip(part("strip", HTMLElement), (target) => ask({ type: "unschedule", id: newId(), target }));
const mediaNow = new MediaNow();
Object.assign(window, { streamgen: measurements.metrics });

/** @type {State | null} */
let state = null;
/** @type {Timeline | null} */
let timeline = null;
const asked = new Requests();
/** Prompt -> media time at which it is expected. @type {Map<string, number>} */
const lands = new Map();
/** What a reason is being written for. @type {string | null} */
let explained = null;
/** What was shown on the channel last, to put it on the strip once. */
let playing = "";

// Asking ---------------------------------------------------------------------------------------------------------

/** @param {ClientMessage} message */
function ask(message) {
  if (!steering.send(message)) {
    say("There is no connection: nothing was sent.", "bad");
    return false;
  }
  asked.sent(message, performance.now());
  allowToggles();
  return true;
}

/** @param {PanicAction} action */
function panic(action) {
  ask({ type: "panic", id: newId(), action });
}

/** About what is selected. @param {"approve" | "reject"} type */
function decide(type) {
  if (review.settled) pass(type, review.current);
}

/** @param {"approve" | "reject"} type @param {import("./review.js").Item | null} item @param {string} [message] */
function pass(type, item, message = "") {
  if (item === null || !may("moderate") || (type === "approve" && !item.held)) return;
  const id = newId();
  if (!ask(type === "approve" ? { type, id, target: item.id } : { type, id, target: item.id, message })) return;
  review.decided(item.id, type);
  showReview();
}

/** @param {Permission} permission */
function may(permission) {
  return state !== null && steering.connected && state.can.includes(permission);
}

/** @param {string} text @param {"plain" | "bad"} [tone] */
function say(text, tone = "plain") {
  view.said.dataset["tone"] = tone;
  write(view.said, text);
}

// What the server says -------------------------------------------------------------------------------------------

/** @param {ServerMessage} message */
function take(message) {
  const nowMs = performance.now();
  switch (message.type) {
    case "state":
      if (state !== null && message.revision < state.revision) return;
      state = message;
      review.takeState(message);
      showState(message);
      showReview();
      break;
    case "chunk":
      measurements.chunk(message);
      mediaNow.told(message.media_time, nowMs);
      if (playing !== `${message.prompt_id} ${message.prompt}`) {
        if (playing !== "" && message.prompt !== "") strip.played(message.prompt_id ?? "", message.prompt, message.media_time);
        playing = `${message.prompt_id} ${message.prompt}`;
      }
      break;
    case "pong":
      mediaNow.told(message.server_media_time, nowMs);
      break;
    case "buffering":
      if (message.active) mediaNow.stop(nowMs);
      break;
    case "health":
      mediaNow.told(message.media_time, nowMs);
      health.show(message, percentile(measurements.metrics.avSkewMs.slice(-SKEW_SAMPLES), 0.5));
      break;
    case "audience":
      if (vote.take(message, nowMs)) {
        review.takeAudience(message);
        showReview();
        showVote();
      }
      break;
    case "timeline":
      timeline = message;
      break;
    case "queued":
      lands.set(message.id, mediaNow.at(nowMs) + message.eta_ms / 1000);
      if (lands.size > LANDS_KEPT) lands.delete(/** @type {string} */ (lands.keys().next().value));
      break;
    case "applied":
      takeApplied(message.id, nowMs);
      break;
    case "rejected":
      takeRejected(message);
      break;
    case "superseded":
      asked.answered(message.id);
      break;
    default:
      break;
  }
  tick();
}

/** @param {string} id @param {number} nowMs */
function takeApplied(id, nowMs) {
  const request = asked.answered(id);
  if (request === null) return;
  const tookMs = Math.round(nowMs - request.atMs);
  const { message } = request;
  if (message.type === "panic") say(`${message.action === "off" ? "Programme" : message.action} · in force after ${tookMs} ms`);
  else if (message.type === "approve") say("Approved");
  else if (message.type === "reject") say("Rejected");
  else if (message.type === "prompt.set") say(`“${message.text}” is on air after ${(tookMs / 1000).toFixed(1)} s`);
}

/** @param {import("./protocol.js").Rejected} message */
function takeRejected(message) {
  const request = message.id === null ? null : asked.answered(message.id);
  say(refusal(message), "bad");
  if (request?.message.type === "approve" || request?.message.type === "reject") {
    // Another operator may have been first; then it does not come back.
    if (message.reason !== "unknown_target") review.undo(request.message.target);
    showReview();
  }
}

/** @param {State} message */
function showState(message) {
  const cover = message.cover ?? "none";
  const muted = message.muted ?? false;
  const covered = cover !== "none";
  write(view.channel, message.channel);
  write(view.viewers, String(message.viewers));
  write(view.viewersWord, message.viewers === 1 ? "viewer" : "viewers");
  write(view.now, message.prompt || "\u00a0");
  const words = [...(covered ? [COVER_WORDS[cover] ?? cover] : []), ...(muted ? ["muted"] : [])].join(", ");
  view.air.dataset["state"] = covered || muted ? "covered" : message.status;
  write(view.air, words || (message.paused ? "Paused" : AIR_WORDS[message.status]));
  for (const button of panics) {
    const action = button.dataset["panic"];
    if (action !== "off") button.ariaPressed = String(action === cover || (action === "mute" && muted));
    button.disabled = !may("panic");
  }
  view.panic.dataset["cover"] = stage.dataset["cover"] = covered || muted ? "on" : "off";
  stage.dataset["words"] = words.toLowerCase();
  write(view.coverWords, covered || muted ? `${words}: take it back` : "On air");
  view.player.setProgramme(message.status === "live" || covered ? "live" : message.status === "buffering" ? "buffering" : "slate");
  const prompts = may("prompt");
  view.prompt.disabled = past.disabled = view.send.disabled = !prompts;
  past.offer(message.recaches ?? false);
  view.prompt.placeholder = prompts ? "Play this next  ( / )" : "Your token does not allow prompts";
  view.transport.hidden = !message.can.includes("schedule");
  for (const button of transports) {
    if (button.dataset["transport"] !== "reset") {
      button.dataset["transport"] = message.paused ? "play" : "pause";
      write(button, message.paused ? "Go on generating" : "Pause generation");
    }
  }
  showVote();
}

function showReview() {
  const items = new Map(review.items.map((item) => [item.id, item]));
  rows(view.review, [...items.keys()], reviewRow, (row, id) => {
    const item = /** @type {import("./review.js").Item} */ (items.get(id));
    row.ariaSelected = String(id === review.selected);
    row.dataset["held"] = String(item.held);
    const about = /** @type {HTMLElement} */ (row.querySelector(".about"));
    const facts = [
      item.kind === "prompt" ? "prompt" : "proposal",
      ...(item.names.length > 0 ? [`by ${item.names.join(", ")}`] : []),
      ...(item.supporters > 1 ? [`${item.supporters} supporters`] : []),
    ].join(" · ");
    const tag = item.held ? item.category ?? "held" : "through";
    if (about.dataset["said"] === `${tag} ${facts}`) return;
    about.dataset["said"] = `${tag} ${facts}`;
    const mark = made("span", "tag", tag);
    mark.dataset["held"] = String(item.held);
    about.replaceChildren(mark, made("span", "", facts));
  });
  const selected = /** @type {HTMLElement | null} */ (view.review.querySelector("[aria-selected='true']"));
  selected?.scrollIntoView({ block: "nearest" });
  view.review.setAttribute("aria-activedescendant", selected?.id ?? "");
  view.reviewEmpty.hidden = items.size > 0;
  write(view.pile, String(review.waiting));
  view.pile.dataset["some"] = String(review.waiting > 0);
  const current = review.current;
  view.approve.disabled = !may("moderate") || current === null || !current.held;
  view.reject.disabled = view.rejectWhy.disabled = !may("moderate") || current === null;
  document.title = `${review.waiting > 0 ? `(${review.waiting}) ` : ""}streamgen · operator`;
}

/** @param {string} id */
function reviewRow(id) {
  const row = made("li");
  row.role = "option";
  row.id = `review-${id}`;
  row.append(made("p", "text", review.items.find((item) => item.id === id)?.text), made("p", "about"));
  row.addEventListener("click", () => {
    review.select(id);
    showReview();
  });
  return row;
}

function showVote() {
  const audience = vote.now;
  options.show(vote, false);
  view.voteEmpty.hidden = audience !== null && audience.options.length > 0;
  write(view.voteEmpty, audience === null ? "No audience takes part on this channel." : "No options yet.");
  view.lead.hidden = view.phaseBar.hidden = audience === null;
  write(view.voteTitle, audience === null ? "Audience" : title(audience));
  write(view.voteSum, audience === null ? "" : `${audience.voters} voted · ${audience.proposals} proposals wait`);
  for (const button of controls) {
    if (button.dataset["control"] === "pause" || button.dataset["control"] === "resume") {
      button.dataset["control"] = audience?.paused ? "resume" : "pause";
      write(button, audience?.paused ? "Resume" : "Pause");
    }
  }
}

/** Buttons that change what they mean when they are obeyed: not a second time before the answer to the first. */
function allowToggles() {
  const nowMs = performance.now();
  const lead = vote.now !== null && may("moderate") && !asked.awaits(["audience.control"], nowMs);
  for (const button of controls) button.disabled = !lead;
  const generation = may("prompt") && !asked.awaits(["play", "pause", "reset"], nowMs);
  for (const button of transports) button.disabled = !generation;
}

/** What changes by itself as time passes. */
function tick() {
  const nowMs = performance.now();
  const nowS = mediaNow.at(nowMs);
  allowToggles();
  write(view.clock, clock(nowS));
  const next = coming(state, timeline, nowS, (id) => lands.get(id) ?? null);
  const first = next[0];
  const inS = first?.atS == null ? null : Math.max(0, Math.ceil(first.atS - nowS));
  write(view.next, first === undefined ? "Nothing waits" : `${first.text}${inS === null ? "" : ` · in ${inS} s`}`);
  strip.show(next, nowS, may("schedule"));
  const left = vote.remainingS(nowMs);
  write(view.countdown, left === null ? "" : countdown(left));
  view.phaseBar.style.setProperty("--left", String(vote.remainingShare(nowMs) ?? 0));
}

steering.addEventListener("message", (event) => {
  take(/** @type {CustomEvent<import("./steering.js").MessageDetail>} */ (event).detail.message);
});
steering.addEventListener("open", () => {
  state = timeline = null;
  review.reconnected();
  vote.reset();
  const panics = asked.lost().filter(({ type }) => type === "panic");
  const unsure = /** @type {import("./protocol.js").Panic | undefined} */ (panics.at(-1));
  if (unsure !== undefined) {
    say(`${unsure.action === "off" ? "Programme" : unsure.action} was not confirmed: the connection was lost. Look, and ask again.`, "bad");
  } else say(""); // that the connection is lost is true no more
  connection("open", "Connected");
  view.player.retryNow();
});
steering.addEventListener("closed", (event) => {
  const { reason, retryInMs } = /** @type {CustomEvent<import("./steering.js").ClosedDetail>} */ (event).detail;
  connection(retryInMs === null ? "refused" : "lost", retryInMs === null ? "Not allowed" : "Reconnecting");
  say(retryInMs === null ? `${reason}.` : "The connection is lost: nothing here acts until it is back.", "bad");
  health.lose();
  mediaNow.stop(performance.now());
  if (state !== null) showState(state);
  // Nobody says any more what is on air; the player sees for itself whether pictures arrive.
  view.air.dataset["state"] = "unknown";
  write(view.air, "Not known");
  write(view.coverWords, "Not known");
  view.player.setProgramme("live");
  showReview();
});

/** @param {string} now @param {string} words */
function connection(now, words) {
  view.connection.dataset["state"] = now;
  write(view.connection, words);
}

// Hands ----------------------------------------------------------------------------------------------------------

for (const button of panics) {
  button.addEventListener("click", () => panic(/** @type {PanicAction} */ (button.dataset["panic"])));
}
for (const button of controls) {
  button.addEventListener("click", (event) => {
    if (!first(event)) return;
    const action = /** @type {import("./protocol.js").ControlAction} */ (button.dataset["control"]);
    ask({ type: "audience.control", id: newId(), action, ...(action === "extend" ? { seconds: EXTEND_S } : {}) });
  });
}
for (const button of transports) {
  button.addEventListener("click", (event) => {
    if (!first(event)) return;
    ask({ type: /** @type {"play" | "pause" | "reset"} */ (button.dataset["transport"]), id: newId() });
  });
}
view.approve.addEventListener("click", (event) => {
  if (first(event)) decide("approve");
});
view.reject.addEventListener("click", (event) => {
  if (first(event)) decide("reject");
});
view.rejectWhy.addEventListener("click", (event) => {
  if (first(event)) explain();
});
view.helpOpen.addEventListener("click", openHelp);
view.ask.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = view.prompt.value.trim();
  if (text === "" || !ask({ type: "prompt.set", id: newId(), text, ...past.asked })) return;
  view.prompt.value = "";
  past.sent();
  say(`Sent: “${text}”`);
});
view.explain.addEventListener("submit", (event) => {
  event.preventDefault();
  const item = review.find(explained);
  if (item === null) say("It does not wait any more: nothing was sent.", "bad");
  else pass("reject", item, view.explainText.value.trim());
  leaveExplaining();
});

/** The second click of a double one was not meant for what the first has put there. @param {MouseEvent} event */
function first({ detail }) {
  return detail <= 1;
}

function explain() {
  const item = review.current;
  if (item === null || !review.settled || !may("moderate")) return;
  // The form stays with its item, and stays open when that vanishes: what is being typed must not become commands.
  explained = item.id;
  write(view.explainWords, `Why not “${item.text}”? They are told.`);
  view.explain.hidden = false;
  view.explainText.value = "";
  view.explainText.focus();
}

/** Not as a modal dialog: panic stays within reach of the mouse as well. */
function openHelp() {
  view.help.show();
}

function leaveExplaining() {
  explained = null;
  view.explain.hidden = true;
  view.review.focus();
}

document.addEventListener("keydown", (event) => {
  const inside = document.activeElement;
  // Enter that is held down presses a button again and again.
  if (event.repeat && (event.key === "Enter" || event.key === " ") && inside instanceof HTMLButtonElement) event.preventDefault();
  const command = commandOf(event, takesText(inside));
  if (command === null) return;
  if (command === "leave") {
    if (view.help.open) view.help.close();
    else if (inside === view.explainText) leaveExplaining();
    else if (inside instanceof HTMLElement && takesText(inside)) inside.blur();
    return;
  }
  event.preventDefault();
  if (command === "write") view.prompt.focus();
  else if (command === "help") openHelp();
  else if ("panic" in command) panic(command.panic);
  else if (command.review === "approve" || command.review === "reject") decide(command.review);
  else if (command.review === "explain") explain();
  else {
    review.move(command.review === "next" ? 1 : -1);
    showReview();
  }
});

if (token !== null) view.player.setAttribute("token", token);
view.player.play(); // not by its attribute, which acts before the token is there
setInterval(tick, EVERY_MS);
showReview();
showVote();
steering.start();

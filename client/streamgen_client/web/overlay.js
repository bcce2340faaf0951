/**
 * The overlay: what plays, whose words they are, the vote, and that it is generated. For a browser source in OBS.
 *
 * `?hide=votes,credit` leaves parts out: `prompt`, `credit`, `votes`, `label`. Nothing of it is stale: when the connection
 * is lost, only the label stays.
 */

import { Credits } from "./credits.js";
import { part, tokenFromLink, write } from "./page.js";
import { SteeringClient, newId, socketUrl } from "./steering.js";
import { VoteBars } from "./vote-bars.js";
import { Vote, countdown, title } from "./vote.js";

/** @typedef {import("./protocol.js").State} State */

const EVERY_MS = 250;
const OPTIONS_SHOWN = 6;

const view = {
  options: part("options", HTMLUListElement), lower: part("lower", HTMLElement), prompt: part("prompt", HTMLElement), credit: part("credit", HTMLElement),
  votes: part("votes", HTMLElement), title: part("votes-title", HTMLElement), countdown: part("countdown", HTMLElement),
  phaseBar: part("phase-bar", HTMLElement), sum: part("votes-sum", HTMLElement),
};
for (const name of (new URLSearchParams(location.search).get("hide") ?? "").split(",")) {
  const hidden = /** @type {HTMLElement | null} */ (document.querySelector(`[data-part="${CSS.escape(name.trim())}"]`));
  hidden?.remove(); // what is still written into it is then seen by nobody
}

const steering = new SteeringClient(
  socketUrl(document.body.dataset["steer"] ?? "steer/main", document.baseURI, tokenFromLink(), newId()),
);
const vote = new Vote();
const credits = new Credits();
const bars = new VoteBars(view.options, null);

/** @type {State | null} */
let state = null;

function show() {
  // What covers the programme covers its words as well.
  const covered = state !== null && (state.cover ?? "none") !== "none" && state.cover !== "hold";
  view.lower.hidden = state === null || state.prompt === "" || covered || state.status === "slate" || state.status === "starting";
  if (state !== null) {
    write(view.prompt, state.prompt);
    const names = credits.of(state.prompt);
    write(view.credit, names.length > 0 ? `Words by ${names.join(", ")}` : "");
  }
  const audience = vote.now;
  view.votes.hidden = audience === null || audience.phase === "idle" || audience.options.length === 0 || covered;
  if (audience === null) return;
  write(view.title, title(audience));
  bars.show(vote, false, OPTIONS_SHOWN);
  write(view.sum, audience.voters === 1 ? "1 vote" : `${audience.voters} votes`);
  tick();
}

function tick() {
  const nowMs = performance.now();
  const left = vote.remainingS(nowMs);
  write(view.countdown, left === null ? "" : countdown(left));
  view.phaseBar.hidden = vote.remainingShare(nowMs) === null;
  view.phaseBar.style.setProperty("--left", String(vote.remainingShare(nowMs) ?? 0));
}

steering.addEventListener("message", (event) => {
  const { message } = /** @type {CustomEvent<import("./steering.js").MessageDetail>} */ (event).detail;
  if (message.type === "state" && (state === null || message.revision >= state.revision)) state = message;
  else if (message.type === "audience" && vote.take(message, performance.now())) credits.take(message);
  else return;
  show();
});
steering.addEventListener("open", () => {
  state = null;
  vote.reset();
});
steering.addEventListener("closed", () => {
  state = null;
  vote.reset();
  show();
});

setInterval(tick, EVERY_MS);
steering.start();

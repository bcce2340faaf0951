/** The audience's page: watch, vote, propose, and when one's own proposal lands. */

import { Credits } from "./credits.js";
import { Measurements } from "./measurements.js";
import { part, tokenFromLink, write } from "./page.js";
import { StreamgenPlayer } from "./player.js";
import { Proposals, words } from "./proposals.js";
import { refusal } from "./prompts.js";
import { SteeringClient, newId, socketUrl } from "./steering.js";
import { VoteBars } from "./vote-bars.js";
import { Vote, countdown, title } from "./vote.js";

/** @typedef {import("./protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("./protocol.js").State} State */

const EVERY_MS = 250;
const SOON_S = 5;
const SETTLED_FOR_MS = 12_000; // what became of one's proposal is shown for so long
const NAME_KEY = "streamgen-credit";
const HINTS = {
  idle: "Watch, and propose what comes next.",
  collect: "Propose below. The ones most people want come to the vote.",
  vote: "Tap one. You can change your mind until the end.",
  result: "",
};

const view = {
  player: part("player", StreamgenPlayer),
  now: part("now", HTMLElement), credit: part("credit", HTMLElement), connection: part("connection", HTMLElement),
  yours: part("yours", HTMLElement), yoursWords: part("yours-words", HTMLElement), yoursText: part("yours-text", HTMLElement),
  title: part("vote-title", HTMLElement), countdown: part("countdown", HTMLElement), phaseBar: part("phase-bar", HTMLElement),
  hint: part("vote-hint", HTMLElement), sum: part("vote-sum", HTMLElement),
  form: part("propose", HTMLFormElement), text: part("text", HTMLInputElement), name: part("name", HTMLInputElement),
  send: part("send", HTMLButtonElement), said: part("propose-said", HTMLElement),
};

const token = tokenFromLink();
const steering = new SteeringClient(socketUrl(view.form.dataset["steer"] ?? "steer/main", document.baseURI, token, newId()));
const measurements = new Measurements(view.player, () => []);
const vote = new Vote();
const credits = new Credits();
const proposals = new Proposals();
const bars = new VoteBars(part("options", HTMLUListElement), ({ id: option }) => {
  const id = newId();
  if (!steering.send({ type: "vote", id, option, ballot: vote.now?.ballot ?? null })) return;
  vote.cast(id, option);
  showVote();
});
Object.assign(window, { streamgen: measurements.metrics });

/** @type {State | null} */
let state = null;

/** @param {"propose" | "vote"} permission */
function may(permission) {
  return state !== null && steering.connected && state.can.includes(permission);
}

/** @param {ServerMessage} message */
function take(message) {
  const nowMs = performance.now();
  switch (message.type) {
    case "state":
      if (state !== null && message.revision < state.revision) return;
      state = message;
      proposals.take(message, nowMs);
      showState(message);
      break;
    case "chunk":
      measurements.chunk(message);
      return;
    case "audience":
      if (vote.take(message, nowMs)) {
        credits.take(message);
        showVote();
      }
      break;
    case "rejected":
      if (message.id !== null && vote.answered(message.id, false)) {
        write(view.hint, refusal(message));
        showVote({ keepHint: true });
      } else {
        const entry = message.id === null ? undefined : proposals.find(message.id);
        proposals.take(message, nowMs);
        write(view.said, refusal(message));
        if (entry?.text && view.text.value === "") view.text.value = entry.text; // to be mended
      }
      break;
    case "applied":
      if (!vote.answered(message.id, true)) proposals.take(message, nowMs);
      break;
    default:
      proposals.take(message, nowMs);
      break;
  }
  tick();
}

/** @param {State} message */
function showState(message) {
  write(view.now, message.prompt || "\u00a0");
  const names = credits.of(message.prompt);
  write(view.credit, names.length > 0 ? `Proposed by ${names.join(", ")}` : "");
  if (message.status === "live") view.player.setProgramme("live");
  else view.player.setProgramme(message.status === "buffering" ? "buffering" : "slate", "The stream goes on by itself.");
  allow();
  showVote();
}

function allow() {
  const propose = may("propose");
  view.text.disabled = view.name.disabled = view.send.disabled = !propose;
  view.text.placeholder = propose || state === null ? "What should come next?" : "Proposals are closed here";
}

/** @param {{keepHint?: boolean}} [how] */
function showVote({ keepHint = false } = {}) {
  const audience = vote.now;
  bars.show(vote, may("vote"));
  write(view.title, audience === null ? "No vote yet" : title(audience));
  write(view.sum, audience === null || audience.phase === "idle" ? "" : sums(audience));
  if (keepHint) return;
  const mayNot = audience !== null && audience.phase === "vote" && state !== null && !may("vote");
  write(view.hint, mayNot ? "You are watching: your link does not let you vote." : HINTS[audience?.phase ?? "idle"]);
}

/** @param {import("./protocol.js").Audience} audience */
function sums({ voters, proposals: waiting, phase }) {
  const people = voters === 1 ? "1 person has voted" : `${voters} people have voted`;
  const more = waiting === 1 ? "1 proposal waits" : `${waiting} proposals wait`;
  return phase === "collect" ? more : `${people} · ${more}`;
}

/** What changes by itself as time passes. */
function tick() {
  const nowMs = performance.now();
  const left = vote.remainingS(nowMs);
  write(view.countdown, left === null ? "" : countdown(left));
  view.countdown.dataset["soon"] = String(left !== null && left <= SOON_S && !(vote.now?.paused ?? true));
  view.phaseBar.style.setProperty("--left", String(vote.remainingShare(nowMs) ?? 0));
  proposals.tick(nowMs);
  const foremost = proposals.foremost;
  const over = foremost !== null && ["applied", "superseded", "rejected", "unknown"].includes(foremost.stage);
  view.yours.hidden = foremost === null || (over && nowMs - foremost.changedAtMs > SETTLED_FOR_MS);
  if (foremost === null) return;
  view.yours.dataset["stage"] = foremost.stage;
  write(view.yoursWords, words(foremost, nowMs));
  write(view.yoursText, foremost.text ?? "");
}

steering.addEventListener("message", (event) => {
  take(/** @type {CustomEvent<import("./steering.js").MessageDetail>} */ (event).detail.message);
});
steering.addEventListener("open", () => {
  state = null;
  vote.reset();
  proposals.reconnected(performance.now());
  connection("open", "Live");
  view.player.retryNow();
});
steering.addEventListener("closed", (event) => {
  const { reason, retryInMs } = /** @type {CustomEvent<import("./steering.js").ClosedDetail>} */ (event).detail;
  connection(retryInMs === null ? "refused" : "lost", retryInMs === null ? "Not allowed" : "Reconnecting");
  if (retryInMs === null) write(view.said, `${reason}.`);
  view.player.setProgramme("live"); // nobody says otherwise any more; the player sees for itself whether it stalls
  allow();
  showVote();
});

/** @param {string} now @param {string} said */
function connection(now, said) {
  view.connection.dataset["state"] = now;
  write(view.connection, said);
}

view.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = view.text.value.trim();
  if (text === "") {
    write(view.said, "Write what should be seen and heard.");
    view.text.focus();
    return;
  }
  const id = newId();
  const name = view.name.value.trim();
  if (!steering.send({ type: "propose", id, text, ...(name === "" ? {} : { name }) })) {
    write(view.said, "There is no connection; try again in a moment.");
    return;
  }
  proposals.sent(id, text, performance.now());
  remember(name);
  view.text.value = "";
  write(view.said, "");
  tick();
});

view.text.addEventListener("input", () => {
  view.form.dataset["writes"] = "true";
});

/** The name is kept on this device, if it may be. @param {string} name */
function remember(name) {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // Private windows may refuse it; then it is asked for again next time.
  }
}

function remembered() {
  try {
    return localStorage.getItem(NAME_KEY) ?? "";
  } catch {
    return "";
  }
}

view.name.value = remembered();
if (token !== null) view.player.setAttribute("token", token);
view.player.play(); // not by its attribute, which acts before the token is there
setInterval(tick, EVERY_MS);
allow();
showVote();
steering.start();
